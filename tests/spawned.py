"""The worker processes of a process, seen from outside."""

from __future__ import annotations

import psutil  # type: ignore[import-untyped]


def spawned(process: psutil.Process) -> list[psutil.Process]:
    """Children that multiprocessing spawned and that live.

    A child that ended, and that nobody has waited for yet, has no command line any more: another
    test may have left one in this process.
    """
    return [child for child in process.children() if "spawn_main" in _command(child)]


def _command(child: psutil.Process) -> str:
    try:
        return " ".join(child.cmdline())
    except psutil.NoSuchProcess:  # a zombie is one of these
        return ""
