"""`make ui` as a user meets it; what its pages show is in `test_browser`."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil  # type: ignore[import-untyped] # ships no types
import pytest

from quickspine.tracking.ui import main

PARAMS = Path(__file__).parents[2] / "params.yaml"
WAIT_S = 120.0  # for MLflow, on a busy machine

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that has tracked nothing yet, whose name means something in a URI."""
    folder = tmp_path / "a%20project?"
    folder.mkdir()
    shutil.copy(PARAMS, folder)
    return folder


@pytest.fixture
def port() -> int:
    """A port that is free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def start(project: Path, port: int) -> Iterator[Start]:
    """Starts `python -m quickspine.tracking.ui`; ends it and its workers afterwards."""
    with contextlib.ExitStack() as stack:

        def run(number: object = port, **environment: str) -> subprocess.Popen[str]:
            inherited = {k: v for k, v in os.environ.items() if k != "DVC_ROOT"}
            process = subprocess.Popen(
                [sys.executable, "-m", "quickspine.tracking.ui", "--port", str(number)],
                cwd=project,
                env={**inherited, **environment},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.terminate)
            return process

        yield run


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=WAIT_S)
    return process.returncode, out, err


def status(port: int, host: str) -> int:
    page = f"http://127.0.0.1:{port}/"
    return httpx.get(page, headers={"Host": host}, timeout=WAIT_S, trust_env=False).status_code


@pytest.mark.slow
def test_it_makes_the_store_serves_it_and_ends_with_its_workers(
    project: Path, port: int, start: Start, tmp_path: Path
) -> None:
    # What is inherited must neither open it to others nor lead it to another store.
    process = start(
        MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE="true",
        MLFLOW_TRACKING_URI="http://127.0.0.1:9",
        MLFLOW_HOST="0.0.0.0",  # noqa: S104 - what must not happen
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith(f"http://127.0.0.1:{port}/#/experiments/1/runs?")
    assert "Ctrl-C" in line
    with contextlib.closing(sqlite3.connect(project / "mlruns/mlflow.db")) as database:
        names = database.execute("SELECT name, artifact_location FROM experiments").fetchall()
    assert ("quickspine", (project / "mlruns/artifacts").as_uri()) in names
    for host in ("127.0.0.1", f"127.0.0.1:{port}", f"localhost:{port}", "localhost:8888"):
        assert status(port, host) == 200  # another port by `ssh -L 8888:localhost:5000`
    for host in ("attacker.example.org", f"attacker.example.org:{port}", "localhost.example.org"):
        assert status(port, host) == 403
    search = f"http://127.0.0.1:{port}/ajax-api/2.0/mlflow/experiments/search"
    for origin, code in (("http://localhost:8888", 200), ("https://evil.example.org", 403)):
        asked = httpx.post(
            search, json={"max_results": 1}, headers={"Origin": origin}, trust_env=False
        )
        assert asked.status_code == code
    workers = psutil.Process(process.pid).children(recursive=True)
    assert workers
    process.send_signal(signal.SIGINT)
    assert ended(process) == (0, "", "ui: starting MLflow, some seconds\n")
    deadline = time.monotonic() + 5
    while any(worker.is_running() for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.05)  # init may take a moment to reap an orphan
    assert not any(worker.is_running() for worker in workers)
    assert [p.name for p in tmp_path.iterdir()] == [project.name]
    assert not (project / "mlartifacts").exists()


def test_a_port_in_use_is_named_before_anything_is_made(
    project: Path, port: int, start: Start
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        code, out, err = ended(start())
    assert (code, out) == (2, "")
    assert err.startswith(f"ui: PORT: {port} ")
    assert f"make ui PORT={port + 1 if port < 65535 else 5000}" in err
    assert sorted(path.name for path in project.iterdir()) == ["params.yaml"]


def test_what_is_no_port_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    for number in ("0", "65536", "http", "-1", "٣"):
        with pytest.raises(SystemExit) as caught:
            main([f"--port={number}"])
        assert caught.value.code == 2
        assert "--port" in capsys.readouterr().err


def test_the_server_of_the_params_is_named_without_its_password(
    project: Path, start: Start
) -> None:
    text = PARAMS.read_text(encoding="utf-8")
    assert text.count("uri: null") == 1
    given = text.replace("uri: null", "uri: https://me:secret@mlflow.example.org/runs")
    (project / "params.yaml").write_text(given, encoding="utf-8")
    code, out, err = ended(start())
    assert (code, err) == (0, "")
    assert "https://***@mlflow.example.org/runs" in out
    assert not (project / "mlruns").exists()


def test_a_damaged_store_is_named(project: Path, start: Start) -> None:
    (project / "mlruns").mkdir()
    (project / "mlruns/mlflow.db").write_bytes(b"no database " * 100)
    code, out, err = ended(start())
    assert (code, out) == (2, "")
    assert "mlflow.db" in err
    assert "Traceback" not in err
