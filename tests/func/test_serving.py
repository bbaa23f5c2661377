"""The champion of the registry as it is served: by `mlflow models serve`, and in-process."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import mlflow
import numpy as np
import psutil  # type: ignore[import-untyped] # ships no types
import pytest

from quickspine.files import sha256
from quickspine.tracking import attach, store_uri, tracked_run
from quickspine.tracking.champion import Candidate
from quickspine.tracking.quiet import quiet
from tests.func.tracked import configured

NAME = "quickspine-doodles-dddddddd"
START_S = 120.0  # what MLflow and TensorFlow may take to start on a busy machine


@pytest.fixture
def champion(project: Path, recorded_here: None, model_file: Path) -> str:
    """The champion's URI: a model that was trained, evaluated and put forward."""
    params, digest = configured(), sha256(model_file)
    with tracked_run(params, stage="train", head="spinal", seed=1, data_digest="d" * 64) as run:
        run.log_model(model_file, input_shape=(28, 28, 1), classes=3)
    best = Candidate("train", "spinal", 1, digest, "p" * 64, 0.75, 0.5)
    with tracked_run(params, stage="evaluate", data_digest="d" * 64) as run:
        attach(params.tracking, digest, {"test_accuracy": 0.75})
        run.propose([best], source="doodles", data_digest="d" * 64, drawings=400)
    return f"models:/{NAME}@champion"


@pytest.fixture
def drawings() -> Any:
    """uint8 [5, 28, 28, 1]."""
    return np.random.default_rng(1).integers(0, 256, (5, 28, 28, 1), dtype=np.uint8)


@pytest.fixture
def logits(model_file: Path, drawings: Any) -> Any:
    """float32 [5, 3]: what the model itself answers."""
    return keras.saving.load_model(model_file).predict(drawings, verbose=0)


def test_the_champion_answers_in_process(champion: str, drawings: Any, logits: Any) -> None:
    mlflow.set_tracking_uri(store_uri(configured().tracking))
    with quiet():
        served = mlflow.pyfunc.load_model(champion)
    np.testing.assert_array_equal(served.predict(drawings), logits)


@contextlib.contextmanager
def server(uri: str, folder: Path) -> Iterator[int]:
    """`mlflow models serve`, as docs/how-to.md has it; its port. It leaves no process behind."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environment = {k: v for k, v in os.environ.items() if "MLFLOW_" not in k}
    environment["MLFLOW_TRACKING_URI"] = "sqlite:///mlruns/mlflow.db"
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    command = ["mlflow", "models", "serve", "-m", uri, "--env-manager", "local"]
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    children: list[psutil.Process] = []
    try:
        deadline = time.monotonic() + START_S
        while answer(port, "GET", "/ping") is None:
            assert process.poll() is None, (folder / "serve.log").read_text()
            assert time.monotonic() < deadline, (folder / "serve.log").read_text()
            time.sleep(0.2)
        children = psutil.Process(process.pid).children(recursive=True)
        yield port
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)
        _, alive = psutil.wait_procs(children, timeout=60)
        assert alive == []


def answer(port: int, method: str, path: str, body: bytes = b"") -> tuple[int, bytes] | None:
    """Status and body; None where nobody listens yet."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        return reply.status, reply.read()
    except ConnectionError:
        return None
    finally:
        connection.close()


def test_the_champion_answers_over_http(
    champion: str, project: Path, drawings: Any, logits: Any
) -> None:
    body = json.dumps({"inputs": drawings.tolist()}).encode()
    with server(champion, project) as port:
        given = answer(port, "POST", "/invocations", body)
        wrong = answer(port, "POST", "/invocations", b'{"inputs": [[[[0.5]]]]}')
    assert given is not None
    status, text = given
    assert status == 200, text
    predictions = np.array(json.loads(text)["predictions"], np.float32)
    np.testing.assert_array_equal(predictions, logits)
    assert wrong is not None
    assert wrong[0] == 400, wrong  # no drawing of the model's size: refused, not guessed at
