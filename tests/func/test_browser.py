"""The report and the runs in a real browser: what a reader sees, and what the page asks for."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
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
from quickspine.evaluation import figures, report
from quickspine.evaluation.comparison import DataInfo, summarise
from quickspine.params import Params
from quickspine.tracking import tracked_run
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
SCREENS = {"phone": (390, 844), "desk": (1280, 800)}  # pixels
START_S = 120.0  # what the server and its pages may take on a busy machine

pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER),
    reason="no browser: install chromium and chromedriver (Debian: chromium chromium-driver)",
)


@pytest.fixture
def browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[webdriver.Chrome]:
    """Chromium with an empty profile, which logs its console and every request."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("SE_OFFLINE", "true")  # Selenium has its driver: nothing to download
    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, Service(str(DRIVER)))
    try:
        yield driver
    finally:
        driver.quit()


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


@pytest.fixture(scope="module")
def written(params: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of made-up runs, with all its figures and a contact sheet."""
    labels = np.repeat(np.arange(len(DOODLES)), 20)
    runs = []
    for stage in ("train", "finetune"):
        for head, share in (("dense", 0.8), ("spinal", 0.9)):
            for seed in (1, 2, 3):
                random = np.random.default_rng([seed, len(stage), len(head)])
                logits = random.normal(0, 1, (len(labels), len(DOODLES))).astype(np.float32)
                right = random.random(len(labels)) < share
                logits[np.arange(len(labels)), labels] += np.where(right, 9, 0)
                history = [
                    {"epoch": epoch, "loss": 1 / epoch, "val_accuracy": share - 0.4 / epoch}
                    for epoch in range(1, 6)
                ]
                runs.append(run_of(stage, head, seed, logits, history, costs(9_200, 3.1, 200_000)))
    data = DataInfo(
        source="doodles", synthetic=True, train=9600, validation=1200, test=len(labels),
        licence="CC0-1.0", attribution="Drawn by quickspine's stroke programs, not by people.",
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("evaluation")
    sheet = folder / "contact-sheet.png"
    Image.fromarray(np.full((24 * 28, 16 * 28), 255, np.uint8)).save(sheet)
    summary = summarise(runs, labels, DOODLES, data, params.evaluate)
    drawn = figures.write(folder / "plots", runs, labels, DOODLES, summary)
    facts = {"params digest": "a" * 64, "data digest": "b" * 64}
    report.write(folder / "report.html", summary, drawn, data, facts, sheet)
    return folder / "report.html"


@pytest.mark.parametrize("screen", SCREENS)
def test_the_report_fits_the_screen_and_asks_for_nothing(
    browser: webdriver.Chrome, written: Path, screen: str
) -> None:
    sized(browser, screen)
    browser.get(written.as_uri())
    assert browser.title == report.QUESTION
    assert complaints(browser) == []
    schemes = {urlsplit(url).scheme for url in requests(browser)}
    assert schemes <= {"file", "data", "chrome"}  # the last one is the browser's own first tab
    root = "document.documentElement"
    wide, room = browser.execute_script(f"return [{root}.scrollWidth, {root}.clientWidth]")
    assert wide == room <= SCREENS[screen][0]
    verdict = browser.find_element(By.CLASS_NAME, "verdict")
    assert verdict.text == "Spinal better"
    assert verdict.is_displayed()
    assert verdict.rect["y"] + verdict.rect["height"] <= SCREENS[screen][1]
    assert "CC0-1.0" in browser.find_element(By.TAG_NAME, "body").text


# The runs


@pytest.fixture
def project(params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two tracked runs; the current folder."""
    folder = tmp_path / "a project"
    folder.mkdir()
    shutil.copy(Path(__file__).parents[2] / "params.yaml", folder)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    tracking = params.tracking.model_copy(update={"system_metrics": False})
    quick = params.model_copy(update={"tracking": tracking})
    for head in ("dense", "spinal"):
        with tracked_run(quick, stage="train", head=head, seed=1) as run:
            for epoch in range(1, 4):
                run.log_epoch(epoch, {"loss": 1 / epoch, "val_accuracy": 1 - 0.4 / epoch})
    return folder


@pytest.fixture
def ui(project: Path) -> Iterator[tuple[str, int, psutil.Process]]:
    """A running `make ui`: the URL that it prints, its port, its process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = (sys.executable, "-m", "quickspine.tracking.ui", "--port", str(port))
    with subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split(" ")[0], port, psutil.Process(process.pid)
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(START_S) == 0


def test_the_runs_are_shown_on_this_machine_only(
    browser: webdriver.Chrome, ui: tuple[str, int, Any]
) -> None:
    url, port, process = ui
    sized(browser, "desk")
    browser.get(url)
    words = ("quickspine", "train-dense-1", "train-spinal-1")

    def shown(_: Any) -> bool:
        text = browser.find_element(By.TAG_NAME, "body").text
        return all(word in text for word in words)

    WebDriverWait(browser, START_S).until(shown)
    hosts = {urlsplit(each).netloc for each in requests(browser) if each.startswith("http")}
    assert hosts == {f"127.0.0.1:{port}"}
    listening = {
        connection.laddr.ip
        for each in process.children(recursive=True)
        for connection in each.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}
