"""A stage whose `dvc` was killed stops too, instead of working on beside the next one."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import Any

SHELLS = {"sh", "bash", "dash", "ash", "zsh", "ksh", "fish"}
LOOK_S = 0.5  # seconds between two looks


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
        # Who takes in orphans has taken in this one: its dvc died while this was starting.
        adopted = watched[-1].pid == 1 and not _may_be_dvc(watched[-1])
    except (psutil.NoSuchProcess, IndexError):  # it dies at this moment
        adopted = True

    def alive(process: psutil.Process) -> bool:
        try:
            return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    def watch() -> None:
        while not adopted and os.getppid() == parent and all(map(alive, watched)):
            time.sleep(LOOK_S)
        print(f"{os.environ['DVC_STAGE']}: its dvc is gone; stopping", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="orphan", daemon=True).start()


def _may_be_dvc(process: Any) -> bool:
    """Whether process 1, as a container's, is DVC itself, or a Python that uses it."""
    command = " ".join(process.cmdline())
    return "dvc" in command or "python" in command
