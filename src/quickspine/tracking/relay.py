"""The process that delivers a run's journal to MLflow while the run goes on.

A process of its own, so that no store, no server and no library of MLflow's can slow a training,
fail it, or outlive it for long. It gets its order as a line of JSON on stdin (a password in it is
in no argument and no environment), learns of the run's end by the end of stdin, which a kill of
the training brings about as well, and prints its outcome.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from quickspine.params import Tracking
from quickspine.tracking.journal import Entry, claim, now_ms

PROGRAM = "from quickspine.tracking.relay import main; main()"
LINGER_S = 60.0  # how long it may outlive the process of the run

# Relays that outlive their runs: referenced here, so that Popen raises no ResourceWarning.
_lingering: list[subprocess.Popen[bytes]] = []


class Relay:
    """A relay as a child process in a session of its own: signals for the run do not reach it."""

    def __init__(
        self, folder: Path, tracking: Tracking, root: Path, sampling_s: float | None
    ) -> None:
        """Start it.

        Args:
            folder: of the journal.
            tracking: the section of the params.
            root: the project.
            sampling_s: seconds between samples of system metrics; None for no samples.

        Raises:
            OSError: where no process can be started.
        """
        for process in [each for each in _lingering if each.poll() is not None]:
            _lingering.remove(process)
            if process.stdout is not None:
                process.stdout.close()
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter, no shell
            [sys.executable, "-W", "ignore", "-c", PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # its faults reach us as its outcome
            start_new_session=True,
        )
        order = {"tracking": tracking.model_dump(), "sampling_s": sampling_s}
        self._send({**order, "folder": str(folder), "root": str(root)})

    def finish(self, end: Entry, limit_s: float) -> dict[str, Any] | None:
        """Send the end of the run, and wait for the outcome.

        Args:
            end: the journal's last entry, in case that could not be written.
            limit_s: seconds to wait at most; then it goes on alone, for a bounded time.

        Returns:
            The fields of a `quickspine.tracking.recorder.Outcome`; None where time was up.
        """
        process = self._process
        self._send(end)
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
            process.stdin = None  # or `communicate` flushes it once more
        try:
            printed, _ = process.communicate(timeout=limit_s)
        except BaseException as error:  # a second Ctrl-C as well
            _lingering.append(process)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            return None
        try:
            outcome: dict[str, Any] = json.loads(printed)
        except ValueError:
            return {"left": [f"its relay ended with {process.returncode}"]}
        return outcome

    def _send(self, message: Entry) -> None:
        # Far smaller than a pipe: this never blocks. Where the relay is gone, `finish` notices.
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.write(json.dumps(message).encode() + b"\n")
                self._process.stdin.flush()


def main() -> None:
    """Take the order, deliver the run, print the outcome as JSON."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process of the run
    order = json.loads(sys.stdin.buffer.readline())
    from quickspine.tracking.delivery import deliver, deliver_killed
    from quickspine.tracking.mlflow_setup import brief
    from quickspine.tracking.recorder import Outcome
    from quickspine.tracking.store import store_uri

    tracking, root = Tracking.model_validate(order["tracking"]), Path(order["root"])
    end: dict[str, Any] = {}
    ended = threading.Event()
    threading.Thread(target=_listen, args=(end, ended), daemon=True).start()
    try:
        with claim(Path(order["folder"])) as journal:
            outcome = deliver(
                journal,
                tracking,
                root,
                ended,
                end=end,
                sampling_s=order["sampling_s"],
                first=lambda: deliver_killed(tracking, root),
            )
    except Exception as error:
        outcome = Outcome(left=[brief(error, store_uri(tracking, root))])
    with contextlib.suppress(OSError):  # the run's process may be gone
        print(json.dumps(asdict(outcome)), flush=True)
    os._exit(0)  # no thread of MLflow's is waited for


def _listen(end: dict[str, Any], ended: threading.Event) -> None:
    """Wait for the end of stdin: the run's process closed it, or is gone."""
    for line in sys.stdin.buffer:
        with contextlib.suppress(ValueError):
            end.update(json.loads(line))
    if not end:
        end.update(kind="end", time_ms=now_ms(), status="KILLED")
    ended.set()
    watchdog = threading.Timer(LINGER_S, os._exit, [1])
    watchdog.daemon = True
    watchdog.start()
