"""Runs that a kill left RUNNING: known by host, process and start, and closed."""

from __future__ import annotations

from pathlib import Path

from quickspine.params import Tracking
from quickspine.tracking.owner import alive, identity
from quickspine.tracking.pending import RUN_TAG, pending
from quickspine.tracking.quiet import quiet, warn
from quickspine.tracking.store import Store, open_store, project_root, store_uri


def sweep(tracking: Tracking, root: Path | None = None) -> int:
    """Mark KILLED the runs of this host that are RUNNING though their process is gone.

    Returns:
        How many; 0 where tracking is off or faulty (then with a warning).
    """
    if not tracking.enabled:
        return 0
    try:
        with quiet():
            return sweep_store(open_store(tracking, root), root or project_root())
    except Exception as error:
        warn("close stale runs", error, store_uri(tracking, root), "they stay as they are")
        return 0


def sweep_store(store: Store, root: Path) -> int:
    """`sweep` in an open store; raises what the store raises.

    A run whose journal tells its end, but waits, is left alone: `make sync` knows better.
    """
    waiting = {journal.id for journal in pending(root) if journal.ended}
    host = identity()["host"]
    running = store.client.search_runs(
        [store.experiment_id],
        filter_string=f"attributes.status = 'RUNNING' and tags.host = '{host}'",
        max_results=1000,
    )
    dead = [
        run
        for run in running
        if not alive(run.data.tags) and run.data.tags.get(RUN_TAG) not in waiting
    ]
    for run in dead:
        store.client.set_terminated(run.info.run_id, status="KILLED")
    return len(dead)
