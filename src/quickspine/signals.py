"""Turn Ctrl-C, SIGTERM, a closed terminal and a killed parent `dvc` into one exception.

It may be held back until a good moment.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

STOPPING = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
AGAIN_S = 5.0  # a second signal within this time does not disturb the cleaning up after the first
SHELLS = {"sh", "bash", "dash", "ash", "zsh", "ksh", "fish"}
POLL_S = 0.5  # seconds between two looks at the parent process


class Stopped(KeyboardInterrupt):
    """A signal to stop.

    A class of its own: where a bare KeyboardInterrupt passes through `exec`, as at an import,
    CPython ends the process by SIGINT at the very end, whatever exit code it was given.
    """


_holding = 0  # open blocks of `held_back`
_waiting = False  # whether a signal came in one of them
_answered: float | None = None  # when the first signal raised


def stop_by_exception() -> None:
    """Raise `Stopped` on signals to stop.

    As an exception, so that checkpoints are written, locks freed, half-made folders removed and
    the run closed. SIGINT too, since a shell makes background jobs ignore it; but SIGHUP stays
    ignored where it was, by `nohup`.
    """
    global _answered
    _answered = None
    for number in STOPPING:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop)


def _stop(number: int, frame: FrameType | None) -> None:
    global _answered, _waiting
    if _holding:
        _waiting = True
        return
    if _answered is None or time.monotonic() - _answered >= AGAIN_S:
        _answered = time.monotonic()
        raise Stopped


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Defer a signal to stop to the end of the block, if `stop_by_exception` was called."""
    global _holding, _waiting
    _holding += 1
    try:
        yield
    finally:
        _holding -= 1
    if _waiting and not _holding:
        _waiting = False
        _stop(0, None)


def stop_when_orphaned() -> None:
    """Send SIGTERM to this process once the `dvc` that started it is gone.

    DVC has no chance to stop a stage when it is itself killed with SIGKILL. Where a stage was
    started by hand (DVC_STAGE is not set), nothing is watched: it may outlive its terminal.
    """
    if "DVC_STAGE" not in os.environ:
        return
    import psutil  # type: ignore[import-untyped] # ships no types

    parent, watched = os.getppid(), []
    try:
        for ancestor in psutil.Process().parents():  # DVC starts a shell, which starts the stage
            watched.append(ancestor)
            if ancestor.name() not in SHELLS:
                break
        # Init has adopted this process: its dvc died while it was starting.
        adopted = watched[-1].pid == 1 and not _may_be_dvc(watched[-1])
    except (psutil.NoSuchProcess, IndexError):  # the parent dies at this moment
        adopted = True

    def alive(process: psutil.Process) -> bool:
        try:
            return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    def watch() -> None:
        while not adopted and os.getppid() == parent and all(map(alive, watched)):
            time.sleep(POLL_S)
        print(f"{os.environ['DVC_STAGE']}: its dvc is gone; stopping", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="orphan", daemon=True).start()


def _may_be_dvc(process: Any) -> bool:
    """Whether process 1, as a container's, is DVC itself, or a Python that uses it."""
    command = " ".join(process.cmdline())
    return "dvc" in command or "python" in command
