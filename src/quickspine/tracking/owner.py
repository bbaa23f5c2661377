"""Whose a run is: its host, its process, and whether that one still lives."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

import psutil  # type: ignore[import-untyped] # ships no types

SAME_START_S = 2.0  # one process's start, read twice, differs by less; a reused number's by more


def identity() -> dict[str, str]:
    """Tags that tell whose a run is: `host`, `pid`, `process_start` (seconds since 1970)."""
    process = psutil.Process()
    return {
        "host": socket.gethostname(),
        "pid": str(process.pid),
        "process_start": f"{process.create_time():.2f}",
    }


def alive(tags: Mapping[str, Any]) -> bool:
    """Whether the process of a run on this host lives; True where the tags do not tell."""
    try:
        pid, start = int(tags["pid"]), float(tags["process_start"])
    except (KeyError, ValueError):
        return True
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return bool(abs(process.create_time() - start) < SAME_START_S)
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True
