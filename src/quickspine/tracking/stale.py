"""Runs that a kill left RUNNING: known by host, process and start, and closed."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped] # ships no types

from quickspine.params import Tracking
from quickspine.tracking.quiet import quiet, warn
from quickspine.tracking.store import Store, open_store, store_uri

SAME_START_S = 2.0  # one process's start, read twice, differs by less; a reused number's by more


def identity() -> dict[str, str]:
    """Tags that tell whose a run is: `host`, `pid`, `process_start` (seconds since 1970)."""
    process = psutil.Process()
    return {
        "host": socket.gethostname(),
        "pid": str(process.pid),
        "process_start": f"{process.create_time():.2f}",
    }


def sweep(tracking: Tracking, root: Path | None = None) -> int:
    """Mark KILLED the runs of this host that are RUNNING though their process is gone.

    Returns:
        How many; 0 where tracking is off or faulty (then with a warning).
    """
    if not tracking.enabled:
        return 0
    try:
        with quiet():
            return sweep_store(open_store(tracking, root))
    except Exception as error:
        warn("close stale runs", error, store_uri(tracking, root), "they stay as they are")
        return 0


def sweep_store(store: Store) -> int:
    """`sweep` in an open store; raises what the store raises."""
    host = identity()["host"]
    running = store.client.search_runs(
        [store.experiment_id],
        filter_string=f"attributes.status = 'RUNNING' and tags.host = '{host}'",
        max_results=1000,
    )
    dead = [run for run in running if not _alive(run.data.tags)]
    for run in dead:
        store.client.set_terminated(run.info.run_id, status="KILLED")
    return len(dead)


def _alive(tags: dict[str, Any]) -> bool:
    """Whether the process of a run lives; True where the tags do not tell."""
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
