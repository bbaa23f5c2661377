"""The report and the runs in a real browser: what a reader sees, and what the page asks for."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import numpy as np
import psutil  # type: ignore[import-untyped] # ships no types
import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from quickspine.categories import DOODLES
from quickspine.dataset.prepare.contact_sheet import contact_sheet
from quickspine.evaluation import figures, pairing, report
from quickspine.evaluation.comparison import DataInfo, summarise
from quickspine.evaluation.evidence import Evidence
from quickspine.evaluation.examples import pick, positions
from quickspine.evaluation.sections.verdict import QUESTION
from quickspine.files import sha256
from quickspine.params import Params
from quickspine.tracking import attach, tracked_run
from quickspine.tracking.champion import Candidate
from tests.func.tracked import runs as recorded
from tests.unit.evaluation.answers import costs, run_of

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # a container's root has none
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
)
SCREENS = {"phone": (390, 844), "desk": (1280, 800), "paper": (718, 1043)}  # pixels; A4
START_S = 120.0  # what the server and its pages may take on a busy machine

pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER),
    reason="no browser: install chromium and chromedriver (Debian: chromium chromium-driver)",
)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """Chromium with an empty profile, which logs its console and every request."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "*")
        patch.setenv("SE_OFFLINE", "true")  # Selenium has its driver: nothing to download
        driver = webdriver.Chrome(options, Service(str(DRIVER)))
        try:
            yield driver
        finally:
            driver.quit()


@pytest.fixture
def browser(chromium: webdriver.Chrome) -> webdriver.Chrome:
    """The one browser, on an empty page: neither size, media nor logs of the test before."""
    chromium.get("about:blank")
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    for kind in ("browser", "performance"):
        logged(chromium, kind)
    return chromium


def sized(browser: webdriver.Chrome, screen: str) -> None:
    """Give the page the size of a screen; a window cannot be as narrow as a phone."""
    width, height = SCREENS[screen]
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def logged(browser: webdriver.Chrome, kind: str) -> list[dict[str, Any]]:
    """What was logged since the last call."""
    entries: list[dict[str, Any]] = browser.get_log(kind)  # type: ignore[no-untyped-call]
    return entries


def requests(browser: webdriver.Chrome) -> list[str]:
    """The URLs that pages asked for since the last call."""
    messages = [json.loads(entry["message"])["message"] for entry in logged(browser, "performance")]
    sent = [each for each in messages if each["method"] == "Network.requestWillBeSent"]
    return [each["params"]["request"]["url"] for each in sent]


def complaints(browser: webdriver.Chrome) -> list[str]:
    """What the console counts as errors."""
    return [entry["message"] for entry in logged(browser, "browser") if entry["level"] == "SEVERE"]


# The report


def drawing(shape: int) -> Any:
    """A bitmap that is no other's: a bar, an edge or a cross, somewhere."""
    bitmap = np.zeros((28, 28), np.uint8)
    place = 3 + shape % 20
    bitmap[place : place + 3, 4:24] = 255
    if shape % 3:
        bitmap[4:24, place : place + 3] = 255
    return bitmap


def written(
    params: Params,
    folder: Path,
    names: Sequence[str],
    heads: Sequence[str],
    stages: Sequence[Literal["train", "finetune"]],
) -> Path:
    """A report of made-up runs, with all its figures, drawings and a contact sheet."""
    labels = np.repeat(np.arange(len(names)), 20)
    runs = []
    for stage in stages:
        for number, head in enumerate(heads):
            share = 0.9 - 0.1 * number
            for seed in (1, 2, 3):
                random = np.random.default_rng([seed, len(stage), number])
                logits = random.normal(0, 1, (len(labels), len(names))).astype(np.float32)
                right = random.random(len(labels)) < share
                logits[np.arange(len(labels)), labels] += np.where(right, 9, 0)
                history = [
                    {"epoch": epoch, "val_accuracy": share - 0.4 / epoch + seed / 100}
                    for epoch in range(1, 6)
                ]
                spent = costs(9_200 - 400 * number, 3.1, backbone=200_000)
                runs.append(run_of(stage, head, seed, logits, history, spent, share))
    data = DataInfo(
        source="doodles", synthetic=True, train=9600, validation=1200, test=len(labels),
        licence="CC0-1.0", attribution="Drawn by quickspine's stroke programs, not by people.",
        shape=[28, 28, 1],
    )  # fmt: skip
    metrics = summarise(runs, labels, names, data, params.evaluate)
    chosen = pick(runs, labels, pairing.main_pairs(metrics))
    sheet = folder / "contact-sheet.png"
    contact_sheet({name: np.stack([drawing(k) for k in range(12)]) for name in names[:24]}, sheet)
    evidence = Evidence(
        metrics,
        figures.write(folder / "plots", runs, labels, names, metrics),
        chosen,
        {position: drawing(position)[..., None] for position in positions(chosen)},
        {"device": "a processor", "Python": "3.11"},
        {"params": "a" * 64, "data": "b" * 64, **{run.name: "c" * 64 for run in runs}},
        sheet.read_bytes(),
    )
    report.write(folder / "report.html", evidence)
    return folder / "report.html"


@pytest.fixture(scope="module")
def reports(params: Params, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """As the default params give it, and with all heads on many categories."""
    many = [f"a category of a long name {number}" for number in range(60)]
    five = ("progressive", "spinal", "matched", "dense", "linear")
    return {
        "default": written(
            params, tmp_path_factory.mktemp("default"), DOODLES, ("spinal", "dense"),
            ("train", "finetune"),
        ),
        "large": written(params, tmp_path_factory.mktemp("large"), many, five, ("train",)),
    }  # fmt: skip


def seen(browser: webdriver.Chrome, screen: str, scheme: str = "light") -> None:
    """As on a screen of this size in this colour scheme, or on paper."""
    sized(browser, screen)
    media = {
        "media": "print" if screen == "paper" else "screen",
        "features": [{"name": "prefers-color-scheme", "value": scheme}],
    }
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)


def picture(browser: webdriver.Chrome, element: Any) -> Any:
    """What an element looks like, uint8 [height, width, 3]."""
    box = browser.execute_script(
        "const {x, y, width, height} = arguments[0].getBoundingClientRect();"
        "return {x: x + scrollX, y: y + scrollY, width, height, scale: 1}",
        element,
    )
    box["width"] = min(box["width"], browser.execute_script("return innerWidth") - box["x"])
    shot = browser.execute_cdp_cmd(
        "Page.captureScreenshot", {"clip": box, "captureBeyondViewport": True}
    )
    with Image.open(io.BytesIO(base64.b64decode(shot["data"]))) as opened:
        return np.asarray(opened.convert("RGB"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", ["phone", "desk"])
def test_the_report_answers_first_fits_the_screen_and_asks_for_nothing(
    browser: webdriver.Chrome, reports: dict[str, Path], screen: str, scheme: str
) -> None:
    seen(browser, screen, scheme)
    browser.get(reports["default"].as_uri())
    assert browser.title == QUESTION
    assert complaints(browser) == []
    schemes = {urlsplit(url).scheme for url in requests(browser)}
    assert schemes <= {"file", "data", "chrome"}  # the last one is the browser's own first tab
    verdict = browser.find_element(By.CLASS_NAME, "verdict")
    assert verdict.text == "Spinal better"
    assert verdict.is_displayed()
    assert verdict.rect["y"] + verdict.rect["height"] <= SCREENS[screen][1]
    assert "CC0-1.0" in browser.find_element(By.TAG_NAME, "body").text
    paper = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    light = sum(map(int, re.findall(r"\d+", paper)[:3])) / 3
    assert light > 200 if scheme == "light" else light < 60


@pytest.mark.parametrize("kind", ["default", "large"])
@pytest.mark.parametrize("screen", SCREENS)
def test_nothing_is_wider_than_the_page(
    browser: webdriver.Chrome, reports: dict[str, Path], screen: str, kind: str
) -> None:
    seen(browser, screen)
    browser.get(reports[kind].as_uri())
    root = "document.documentElement"
    wide, room = browser.execute_script(f"return [{root}.scrollWidth, {root}.clientWidth]")
    assert wide == room <= SCREENS[screen][0]
    # On paper nothing scrolls; on a screen what is wide scrolls in a frame of its own.
    outside = browser.execute_script("""
        return [...document.querySelectorAll("table, svg, img, pre, p, .card")]
          .filter(each => !(matchMedia("screen").matches && each.closest(".scroll")))
          .filter(each => each.getBoundingClientRect().right > innerWidth + 1)
          .map(each => each.outerHTML.slice(0, 200))""")
    assert outside == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", ["phone", "desk"])
def test_no_picture_is_blank(
    browser: webdriver.Chrome, reports: dict[str, Path], screen: str, scheme: str
) -> None:
    seen(browser, screen, scheme)
    browser.get(reports["default"].as_uri())
    broken = browser.execute_script(
        "return [...document.images].filter(each => !each.complete || !each.naturalWidth).length"
    )
    assert broken == 0
    figures_there = browser.find_elements(By.CSS_SELECTOR, "figure")
    assert len(figures_there) == 1 + 2 + 6 + 2 + 4 + 2 + 1
    for figure in figures_there:
        shown = figure.find_element(By.CSS_SELECTOR, "svg, img")
        name = shown.get_attribute("aria-label") or shown.get_attribute("alt")
        assert name
        assert shown.rect["width"] >= 200, name
        assert shown.rect["height"] >= 100, name
        pixels = picture(browser, shown).astype(int)
        ground = np.median(pixels.reshape(-1, 3), axis=0)
        drawn = (np.abs(pixels - ground).max(axis=2) > 40).mean()
        assert drawn > 0.004, (name, drawn)
        assert (np.abs(pixels - ground).max(axis=2) > 100).any(), name
    lists = browser.find_elements(By.CSS_SELECTOR, ".drawings img")
    assert len(lists) > 40
    sides = {(each.size["width"], each.size["height"]) for each in lists}
    assert all(60 <= width == height <= 160 for width, height in sides)
    pixels = picture(browser, lists[0])
    assert pixels.max() > 240  # ink on paper in both schemes
    assert pixels.min() < 30


CONTRAST = """
const channels = colour => colour.match(/[\\d.]+/g).map(Number);
const light = colour => {
  const [r, g, b] = channels(colour).map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = element => {
  for (let each = element; each; each = each.parentElement) {
    const colour = getComputedStyle(each).backgroundColor;
    if ((channels(colour)[3] ?? 1) > 0) return colour;
  }
  return "rgb(255, 255, 255)";
};
const found = [];
for (const each of document.querySelectorAll("body *")) {
  const words = [...each.childNodes].filter(node => node.nodeType === 3 && node.data.trim());
  const box = each.getBoundingClientRect();
  if (!words.length || !box.width || each.tagName.toLowerCase() === "style") continue;
  const style = getComputedStyle(each);
  const ink = light(each.closest("svg") ? style.fill : style.color);
  const paper = light(behind(each.closest("svg")?.parentElement ?? each));
  const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
  found.push([ratio, words[0].data.trim().slice(0, 40)]);
}
return found;
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_stands_out(
    browser: webdriver.Chrome, reports: dict[str, Path], scheme: str
) -> None:
    seen(browser, "phone", scheme)
    browser.get(reports["default"].as_uri())
    found = browser.execute_script(CONTRAST)
    assert len(found) > 500
    assert [each for each in found if each[0] < 4.5] == []  # WCAG 2, level AA
    assert any("validation accuracy" in words for _, words in found)  # charts are text too


def test_the_report_on_paper(browser: webdriver.Chrome, reports: dict[str, Path]) -> None:
    seen(browser, "paper", "dark")
    browser.get(reports["default"].as_uri())
    style = "const style = getComputedStyle(document.body); return "
    assert browser.execute_script(style + "style.backgroundColor") == "rgb(255, 255, 255)"
    assert browser.execute_script(style + "style.color") == "rgb(0, 0, 0)"
    assert not browser.find_element(By.TAG_NAME, "nav").is_displayed()
    pages = base64.b64decode(browser.print_page())
    assert pages.startswith(b"%PDF")
    assert 3 <= len(re.findall(rb"/Type\s*/Page\b", pages)) <= 20


# The runs


@pytest.fixture(scope="module")
def tracked(params: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with two trainings and their evaluation, tracked."""
    folder = tmp_path_factory.mktemp("browsed") / "a project"
    folder.mkdir()
    shutil.copy(Path(__file__).parents[2] / "params.yaml", folder)
    tracking = params.tracking.model_copy(update={"system_metrics": False})
    quick = params.model_copy(update={"tracking": tracking})
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("DVC_ROOT", raising=False)
        for head, accuracy in (("dense", 0.8), ("spinal", 0.9)):
            model = folder / head / "model.keras"
            model.parent.mkdir()
            model.write_bytes(head.encode())  # MLflow does not look inside
            with tracked_run(quick, stage="train", head=head, seed=1) as run:
                for epoch in range(1, 4):
                    run.log_epoch(epoch, {"loss": 1 / epoch, "val_accuracy": 1 - 0.4 / epoch})
                run.log_model(model, input_shape=(28, 28, 1), classes=3)
            digest = sha256(model)
            found.append(Candidate("train", head, 1, digest, "p" * 64, accuracy, 1 - accuracy))
        with tracked_run(quick, stage="evaluate") as run:
            for each in found:
                attach(quick.tracking, each.model_digest, {"test_accuracy": each.accuracy})
            run.propose(found, source="doodles", data_digest="d" * 64, drawings=400)
    return folder


@pytest.fixture(scope="module")
def ui(tracked: Path) -> Iterator[tuple[str, int, psutil.Process]]:
    """A running `make ui`: the URL that it prints, its port, its process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = (sys.executable, "-m", "quickspine.tracking.ui", "--port", str(port))
    environment = {name: value for name, value in os.environ.items() if name != "DVC_ROOT"}
    with subprocess.Popen(
        command, cwd=tracked, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split(" ")[0], port, psutil.Process(process.pid)
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(START_S) == 0


def wait_for(browser: webdriver.Chrome, *words: str) -> None:
    """Until the page shows all of these."""

    def shown(_: Any) -> bool:
        text = browser.find_element(By.TAG_NAME, "body").text
        return all(word in text for word in words)

    WebDriverWait(browser, START_S).until(shown)


def test_the_runs_are_shown_on_this_machine_only(
    browser: webdriver.Chrome, ui: tuple[str, int, Any]
) -> None:
    url, port, process = ui
    sized(browser, "desk")
    browser.get(url)
    wait_for(browser, "quickspine", "evaluate", "3 matching runs")
    hosts = {urlsplit(each).netloc for each in requests(browser) if each.startswith("http")}
    assert hosts == {f"127.0.0.1:{port}"}
    listening = {
        connection.laddr.ip
        for each in process.children(recursive=True)
        for connection in each.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_runs_are_nested_and_compared_and_the_champion_is_named_with_its_reason(
    browser: webdriver.Chrome,
    ui: tuple[str, int, Any],
    tracked: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, port, _ = ui
    monkeypatch.chdir(tracked)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    sized(browser, "desk")
    browser.get(url)
    wait_for(browser, "evaluate", "3 matching runs")
    trainings = ("train-dense-1", "train-spinal-1")
    text = browser.find_element(By.TAG_NAME, "body").text
    assert not any(name in text for name in trainings)  # folded under their evaluation
    # The button before a run's name, as MLflow 3.17 calls it; it is there for parents alone.
    (unfold,) = browser.find_elements(
        By.CSS_SELECTOR, "button[data-component-id*='runnamecellrenderer']"
    )
    unfold.click()
    wait_for(browser, *trainings)
    found = {run.info.run_name: run.info.run_id for run in recorded()}
    pages = f"http://127.0.0.1:{port}/#"
    both = json.dumps([found[name] for name in trainings])
    browser.get(f'{pages}/compare-runs?runs={both}&experiments=["1"]')
    measures = ("loss", "val_accuracy", "test_accuracy")
    wait_for(browser, "Comparing 2 Runs", *trainings, *measures)
    browser.get(f"{pages}/models/quickspine-doodles-dddddddd")
    reason = "there is no champion yet; right on 90.00 % of 400 validation drawings"
    wait_for(browser, "@ champion", f"version 1: champion; train-spinal-1: {reason}")
