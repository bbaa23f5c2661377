"""What is measured later, attached to the training that it is about."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from quickspine.params import Tracking
from quickspine.tracking.pending import pending
from quickspine.tracking.run import TrackedRun
from quickspine.tracking.store import SQLITE, project_root, store_uri

_open: ContextVar[TrackedRun | None] = ContextVar("open", default=None)


@contextlib.contextmanager
def opened(run: TrackedRun) -> Iterator[None]:
    """In this block, what is attached goes through the journal of this run."""
    token = _open.set(run)
    try:
        yield
    finally:
        _open.reset(token)


def attach(
    tracking: Tracking,
    model_digest: str,
    metrics: Mapping[str, float],
    tags: Mapping[str, Any] | None = None,
    root: Path | None = None,
) -> None:
    """Log metrics to the training runs, and to the logged models, of one `model.keras`.

    Runs are found by content, their tag `model_digest`, never by an id kept in a file: a stage
    that DVC restored from its cache has no run, and a model may have been trained twice. Inside a
    tracked run nothing is waited for; trainings that wait for `make sync` get theirs then.

    Args:
        tracking: the section of the params.
        model_digest: hex sha256 of the `model.keras`.
        metrics: such as `{"test_accuracy": 0.93}`.
        tags: set on the same runs.
        root: the project; `project_root()` where None.
    """
    if not tracking.enabled:
        return
    run = _open.get()
    if run is not None and run.tracked:
        run.attach(model_digest, metrics, tags or {})
        return
    uri = store_uri(tracking, root)
    made = not uri.startswith(SQLITE) or Path(uri.removeprefix(SQLITE)).exists()
    if not made and not pending(root or project_root()):
        return  # nothing was ever tracked: no reason to make a store
    run = TrackedRun(tracking, root)
    run.start(f"test metrics of model {model_digest[:12]}", {}, {}, run=False)
    run.attach(model_digest, metrics, tags or {})
    run.end("FINISHED")
