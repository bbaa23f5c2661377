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

import mlflow
import numpy as np
import psutil  # type: ignore[import-untyped] # ships no types
import pytest

import quickspine
from quickspine.files import sha256
from quickspine.tracking import store_uri, tracked_run
from quickspine.tracking.champion import Candidate
from quickspine.tracking.mlflow_setup import quiet
from tests.func.tracked import configured

NAME = "quickspine-doodles-dddddddd"
START_S = 120.0  # what MLflow and TensorFlow may take to start on a busy machine


@pytest.fixture
def champion(project: Path, delivered_here: None, model_file: Path) -> str:
    """The champion's URI: a model that was trained, evaluated and put forward."""
    params, digest = configured(), sha256(model_file)
    with tracked_run(params, stage="train", head="spinal", seed=1, data_digest="d" * 64) as run:
        run.log_model(model_file, input_shape=(28, 28, 1), classes=3)
    best = Candidate("train", "spinal", 1, digest, "p" * 64, 0.75, 0.5)
    with tracked_run(params, stage="evaluate", data_digest="d" * 64) as run:
        run.propose([best], source="doodles", data_digest="d" * 64, drawings=400)
    return f"models:/{NAME}@champion"


@pytest.fixture
def drawings() -> Any:
    """uint8 [5, 28, 28, 1]."""
    return np.random.default_rng(1).integers(0, 256, (5, 28, 28, 1), dtype=np.uint8)


@pytest.fixture
def logits(model_file: Path, drawings: Any) -> Any:
    """float32 [5, 3]: what the model itself answers."""
    return quickspine.load_model(model_file).predict(drawings, verbose=0)


@pytest.mark.slow
def test_the_champion_answers_in_process_and_refuses_what_cannot_be_meant(
    champion: str, project: Path, model_file: Path, drawings: Any, logits: Any
) -> None:
    mlflow.set_tracking_uri(store_uri(configured().tracking))
    with quiet():
        served = mlflow.pyfunc.load_model(champion)
    signature = served.metadata.signature
    assert str(signature.inputs.inputs[0]) == "Tensor('uint8', (-1, 28, 28, 1))"
    answer = served.predict(drawings)
    assert (answer.dtype, answer.shape) == (np.float32, (5, 3))
    np.testing.assert_array_equal(answer, logits)
    np.testing.assert_array_equal(served.predict(drawings.astype(np.int64)), logits)
    (file,) = project.glob("mlruns/artifacts/models/*/artifacts/artifacts/model.keras")
    assert file.read_bytes() == model_file.read_bytes()
    assert not list(file.parents[1].rglob("*.pkl"))
    wanted = "uint8 images [n, 28, 28, 1], values from 0 to 255"
    for wrong, word in [
        (drawings / 255, "float64"),
        (drawings.astype(np.float32), "float32"),
        (drawings > 127, "bool"),
        ((drawings > 127).astype(np.uint8), "no value above 1"),
        (drawings.astype(np.int64) - 128, "values from -128 to 127"),
        (drawings[0], "[28, 28, 1]"),
        (drawings[0].ravel(), "[784]"),
        (drawings.reshape(5, 784), "[5, 784]"),
        ([[1, 2], [3]], "different shapes"),
    ]:
        with pytest.raises(mlflow.MlflowException) as caught:
            served.predict(wrong)
        assert word in str(caught.value)
        assert wanted in str(caught.value)
        assert len(str(caught.value)) < 200  # no dump of the pixels


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


@pytest.mark.slow
def test_the_champion_answers_over_http(
    champion: str, project: Path, drawings: Any, logits: Any
) -> None:
    def body(images: Any) -> bytes:
        return json.dumps({"inputs": images.tolist()}).encode()

    with server(champion, project) as port:
        given = answer(port, "POST", "/invocations", body(drawings))
        wrong = [
            answer(port, "POST", "/invocations", body(images))
            for images in (drawings / 255, (drawings > 127).astype(int), drawings[0])
        ]
    assert given is not None
    status, text = given
    assert status == 200, text
    predictions = np.array(json.loads(text)["predictions"], np.float32)
    np.testing.assert_array_equal(predictions, logits)
    for refused in wrong:
        assert refused is not None
        assert refused[0] == 400, refused
        message = json.loads(refused[1])["message"]
        assert "send uint8 images [n, 28, 28, 1]" in message
        assert len(message) < 200
