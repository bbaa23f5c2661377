"""Take the README's screenshots of this project: the report, and its runs in MLflow.

`python -m examples.screenshots` after `make repro`; needs chromium and chromedriver.
"""

from __future__ import annotations

import argparse
import base64
import io
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

FLAGS = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--no-proxy-server")
WIDTH, HEIGHT = 1280, 760  # pixels
# Of MLflow's page: what unfolds the trainings of an evaluation, and its assistant's panel.
CLICKED = (
    "button[data-component-id*='runnamecellrenderer']",
    "button[data-component-id='mlflow.assistant.chat_panel.close']",
)
COLOURS = 128  # of a PNG: a third of the bytes
SETTLE_S = 8.0  # MLflow's page fetches its runs in parts


def main() -> None:
    """Write report.png and runs.png."""
    parser = argparse.ArgumentParser(prog="python -m examples.screenshots", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="a folder")
    parser.add_argument("--port", default="5055", help="for MLflow, free; default: 5055")
    args = parser.parse_args()
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium") or shutil.which("google-chrome"))
    for flag in FLAGS:
        options.add_argument(flag)
    browser = webdriver.Chrome(options, Service(str(shutil.which("chromedriver"))))
    ui = subprocess.Popen(  # noqa: S603 - this project's own module
        [sys.executable, "-m", "quickspine.tracking.ui", "--port", args.port],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        take(browser, Path("evaluation/report.html").resolve().as_uri(), args.out / "report.png")
        take(browser, address(ui), args.out / "runs.png", SETTLE_S)
    finally:
        browser.quit()
        ui.terminate()
        ui.wait()


def address(ui: subprocess.Popen[str]) -> str:
    """The page that `make ui` prints, with MLflow's list of runs.

    Raises:
        RuntimeError: if MLflow does not start.
    """
    found = re.match(r"(http\S+)", ui.stdout.readline() if ui.stdout else "")
    if found is None:
        raise RuntimeError("make ui printed no address")
    return found[1]


def take(browser: webdriver.Chrome, url: str, place: Path, wait: float = 1.0) -> None:
    """Save what a window of the page's upper part shows."""
    size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(url)
    time.sleep(wait)
    for selector in CLICKED:
        for button in browser.find_elements(By.CSS_SELECTOR, selector)[:1]:
            button.click()
            time.sleep(wait / 4)
    shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
    image = Image.open(io.BytesIO(base64.b64decode(shot["data"]))).convert("RGB")
    image.quantize(COLOURS).save(place, optimize=True)
    print(place)


if __name__ == "__main__":
    main()
