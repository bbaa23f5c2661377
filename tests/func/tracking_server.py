"""A real MLflow server, and a door in front of it that fails in every way that servers do."""

from __future__ import annotations

import contextlib
import http.server
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

START_S = 120.0


class Door(http.server.ThreadingHTTPServer):
    """Passes requests on, as long as its `fault` is None.

    Attributes:
        fault: "hang" (never an answer), "404", "500", "slow" (3 s each, then passed on), or None.
        only: faults are for paths that hold one of these words; empty: for all.
        seen: requests, as method and path.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int = 0, behind: int | None = None) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.behind = behind
        self.fault: str | None = None
        self.only: tuple[str, ...] = ()
        self.seen: list[str] = []
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what these tests are about."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Door

    def log_message(self, *arguments: Any) -> None:
        """Nothing."""

    def _any(self) -> None:
        door = self.server
        door.seen.append(f"{self.command} {self.path}")
        fault = door.fault
        if door.only and not any(word in self.path for word in door.only):
            fault = None
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if fault == "hang":
            door.closing.wait()
        elif fault in ("404", "500"):
            self._answer(int(fault), "text/plain", b"broken")
        else:
            if fault == "slow":
                door.closing.wait(3)
            self._answer(*self._pass_on(body))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815 - their names

    def _pass_on(self, body: bytes) -> tuple[int, str, bytes]:
        if self.server.behind is None:
            return 500, "text/plain", b"nobody behind"
        place = f"127.0.0.1:{self.server.behind}"
        headers = {k: v for k, v in self.headers.items() if k != "Transfer-Encoding"}
        reply = httpx.request(
            self.command,
            f"http://{place}{self.path}",
            content=body,
            headers={**headers, "Host": place},
            timeout=60,
            trust_env=False,
        )
        return reply.status_code, reply.headers.get("Content-Type", ""), reply.content

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def door(port: int = 0, behind: int | None = None) -> Iterator[Door]:
    """A door that is open during the block; port 0: any."""
    server = Door(port, behind)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def mlflow_server(folder: Path) -> Iterator[int]:
    """A real server on 127.0.0.1 with its store in `folder` (made where missing); its port."""
    with door() as free:
        port = int(free.server_address[1])
    environment = {k: v for k, v in os.environ.items() if "MLFLOW_" not in k}
    environment |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "DO_NOT_TRACK": "true"}
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
        *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--workers", "1"),
        *("--artifacts-destination", str(folder / "artifacts")),
    ]
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        deadline = time.monotonic() + START_S
        while not _answers(port):
            assert server.poll() is None, (folder / "server.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield port
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _answers(port: int) -> bool:
    try:
        asked = httpx.get(f"http://127.0.0.1:{port}/health", timeout=5, trust_env=False)
    except httpx.HTTPError:
        return False
    return asked.is_success
