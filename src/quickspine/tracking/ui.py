"""Browse the runs: MLflow's own pages, on this machine only, until Ctrl-C."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from quickspine.console import make_output_safe
from quickspine.errors import InputError
from quickspine.files import STATE
from quickspine.params import Tracking, load
from quickspine.params.paths import project_root
from quickspine.signals import held_back, stop_by_exception
from quickspine.tracking.mlflow_setup import DEFAULTS, brief, masked, quiet
from quickspine.tracking.store import FOLDER, open_store, store_uri

HOST = "127.0.0.1"
START_S = 120.0  # what the server may take to answer
STOP_S = 10.0  # what it may take to finish what it is doing
LOG = STATE / "ui.log"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run until interrupted, and exit: 0 then, 2 wrong params or port, 1 anything else."""
    make_output_safe()
    parser = argparse.ArgumentParser(prog="python -m quickspine.tracking.ui", description=__doc__)
    parser.add_argument("--port", type=_port, default=5000, help="default: 5000")
    parser.add_argument("--params", default="params.yaml", help="default: params.yaml")
    args = parser.parse_args(arguments)
    stop_by_exception()
    try:
        _show(load(args.params).tracking, args.port)
    except InputError as error:
        print(f"ui: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(0)


def _show(tracking: Tracking, port: int) -> None:
    uri = store_uri(tracking)
    if uri.startswith(("http://", "https://")):
        print(f"the runs are on the server of tracking.uri: {masked(uri)}")
        return
    _check_free(port)
    print("ui: starting MLflow, some seconds", file=sys.stderr, flush=True)
    page = f"http://{HOST}:{port}"
    experiment = _open(tracking, uri)
    if experiment is not None:
        # Without its mode MLflow opens the page that it has for language models: no runs there.
        page += f"/#/experiments/{experiment}/runs?workflowType=machine_learning"
    with _server(uri, port) as server:
        _wait_for_answer(server, port)
        print(f"{page} shows the runs; Ctrl-C ends it", flush=True)
        server.wait()
        _died(server)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"PORT: {text!r}; name one from 1 to 65535")
    return int(text)


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            probe.bind((HOST, port))
        except OSError as error:
            other = port + 1 if port < 65535 else 5000
            raise InputError(
                f"PORT: {port} cannot be had on {HOST} ({error.strerror}); "
                f"name another: make ui PORT={other}"
            ) from None


def _open(tracking: Tracking, uri: str) -> str | None:
    """The experiment's id; makes the store where it is missing. None: it was deleted."""
    try:
        with quiet():
            return open_store(tracking).experiment_id
    except LookupError:
        return None  # the pages can restore it
    except Exception as error:
        raise InputError(
            f"tracking.uri: {masked(uri)} cannot be opened ({brief(error, uri)}); "
            "mend it, or name another store"
        ) from None


@contextlib.contextmanager
def _server(uri: str, port: int) -> Iterator[subprocess.Popen[Any]]:
    """MLflow's server as a child process; it and all its workers are gone after the block."""
    # What is inherited must neither open the server to others nor point it elsewhere.
    environment = {
        name: value for name, value in os.environ.items() if "MLFLOW_" not in name
    } | DEFAULTS
    environment |= {
        "MLFLOW_BACKEND_STORE_URI": uri,  # no argument: a password in it would be public
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port)),
        *("--default-artifact-root", (project_root() / FOLDER / "artifacts").as_uri()),
        *("--no-serve-artifacts", "--workers", "1", "--uvicorn-opts", "--log-level warning"),
        # Any port: by `ssh -L 8888:localhost:5000` it is another one.
        *("--allowed-hosts", f"{HOST},{HOST}:*,localhost,localhost:*"),
    ]
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with LOG.open("wb") as log:
        # A session of its own: Ctrl-C reaches it through us alone, in order.
        server = subprocess.Popen(  # noqa: S603 - our own interpreter, no shell
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield server
    finally:
        with held_back():
            for number in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(server.pid, number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    server.wait(STOP_S)


def _wait_for_answer(server: subprocess.Popen[Any], port: int) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            _died(server)
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), START_S):
            return
        time.sleep(0.1)
    raise SystemExit(f"ui: no answer from MLflow's server after {START_S:.0f} s; see {LOG}")


def _died(server: subprocess.Popen[Any]) -> None:
    lines = LOG.read_text(encoding="utf-8", errors="replace").splitlines()[-10:]
    said = "\n  ".join(["", *map(masked, lines)])
    raise SystemExit(f"ui: MLflow's server ended with {server.returncode}; {LOG} ends:{said}")


if __name__ == "__main__":
    main()
