"""The report in a real browser: it fits, stands out and asks for nothing."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By

from quickspine.categories import DOODLES
from quickspine.dataset.prepare.contact_sheet import contact_sheet
from quickspine.evaluation.report.figures import write
from quickspine.params import Evaluate
from tests.func.browser import (
    SCREENS,
    browser,
    chromium,
    complaints,
    needs_browser,
    requests,
    sized,
)
from tests.unit.evaluation.conftest import evaluate, make
from tests.unit.evaluation.made import made, summary

__all__ = ["browser", "chromium", "evaluate", "make"]  # fixtures

pytestmark = needs_browser


def written(case: Any, evaluate: Evaluate, folder: Path) -> Path:
    """A report of made-up runs, with all its figures, images and a contact sheet."""
    metrics, sheet = summary(case, evaluate), folder / "contact-sheet.png"
    crosses = np.repeat(255 * np.eye(28, dtype=np.uint8)[None, :, :, None], 12, axis=0)
    contact_sheet(dict.fromkeys(case.categories[:24], crosses), sheet)
    charts = write(folder / "plots", case.runs, case.labels, case.categories, metrics)
    options = {"charts": charts, "contact_sheet": sheet.read_bytes()}
    made(case, metrics, **options).write(folder / "report.html")
    return folder / "report.html"


@pytest.fixture(scope="module")
def reports(
    make: Any, evaluate: Evaluate, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """As the default params give it, and with all heads on many categories."""
    cases = {
        "default": make(categories=DOODLES, spinal=0.99),
        "large": make(
            categories=[f"a category of a long name {number}" for number in range(60)],
            heads=("progressive", "spinal", "matched", "dense", "linear"),
            stages=("train",),
        ),
    }
    folders = {kind: tmp_path_factory.mktemp(kind) for kind in cases}
    return {kind: written(case, evaluate, folders[kind]) for kind, case in cases.items()}


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


@pytest.mark.core
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", ["phone", "desk"])
def test_the_report_answers_first_fits_the_screen_and_asks_for_nothing(
    browser: webdriver.Chrome, reports: dict[str, Path], screen: str, scheme: str
) -> None:
    seen(browser, screen, scheme)
    browser.get(reports["default"].as_uri())
    assert browser.title == "Does a SpinalNet head beat a dense head?"
    assert complaints(browser) == []
    schemes = {urlsplit(url).scheme for url in requests(browser)}
    assert schemes <= {"file", "data", "chrome"}  # the last one is the browser's own first tab
    verdict = browser.find_element(By.CLASS_NAME, "verdict")
    assert verdict.text == "Spinal better"
    assert verdict.is_displayed()
    assert verdict.rect["y"] + verdict.rect["height"] <= SCREENS[screen][1]
    assert "CC BY 4.0" in browser.find_element(By.TAG_NAME, "body").text
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
        return [...document.querySelectorAll("table, img, pre, p, .card")]
          .filter(each => !(matchMedia("screen").matches && each.closest(".scroll")))
          .filter(each => each.getBoundingClientRect().right > innerWidth + 1)
          .map(each => each.outerHTML.slice(0, 200))""")
    assert outside == []


@pytest.mark.parametrize(("screen", "scheme"), [("phone", "dark"), ("desk", "light")])
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
        shown = figure.find_element(By.TAG_NAME, "img")
        name = shown.get_attribute("alt")
        assert name
        assert shown.rect["width"] >= 200, name
        assert shown.rect["height"] >= 100, name
        pixels = picture(browser, shown).astype(int)
        ground = np.median(pixels.reshape(-1, 3), axis=0)
        drawn = (np.abs(pixels - ground).max(axis=2) > 40).mean()
        assert drawn > 0.004, (name, drawn)
        assert (np.abs(pixels - ground).max(axis=2) > 100).any(), name
    lists = browser.find_elements(By.CSS_SELECTOR, ".images img")
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
  const ink = light(style.color), paper = light(behind(each));
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
    assert len(found) > 200
    assert [each for each in found if each[0] < 4.5] == []  # WCAG 2, level AA


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
