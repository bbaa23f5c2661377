"""The runs in a real browser: what MLflow's pages show, and what they ask for."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil  # type: ignore[import-untyped] # ships no types
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from quickspine.files import sha256
from quickspine.params import Params
from quickspine.tracking import tracked_run
from quickspine.tracking.champion import Candidate
from tests.func.browser import browser, chromium, needs_browser, requests, sized
from tests.func.tracked import runs as recorded

__all__ = ["browser", "chromium"]  # fixtures

START_S = 120.0  # what the server and its pages may take on a busy machine

pytestmark = needs_browser


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
                run.attach(each.model_digest, {"test_accuracy": each.accuracy})
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
    reason = "there is no champion yet; right on 90.00 % of 400 validation images"
    wait_for(browser, "@ champion", f"version 1: champion; train-spinal-1: {reason}")
