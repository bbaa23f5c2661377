"""What is measured later, attached to the training that it is about."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quickspine.params import Tracking
from quickspine.tracking.quiet import quiet, warn
from quickspine.tracking.store import SQLITE, Store, open_store, store_uri


def attach(
    tracking: Tracking,
    model_digest: str,
    metrics: Mapping[str, float],
    tags: Mapping[str, Any] | None = None,
    root: Path | None = None,
) -> int:
    """Log metrics to the training runs, and to the logged models, of one `model.keras`.

    Runs are found by content, their tag `model_digest`, never by an id kept in a file: a stage
    that DVC restored from its cache has no run, and a model may have been trained twice.

    Args:
        tracking: the section of the params.
        model_digest: hex sha256 of the `model.keras`.
        metrics: such as `{"test_accuracy": 0.93}`.
        tags: set on the same runs.
        root: the project; `project_root()` where None.

    Returns:
        How many runs were found; 0 where there is none, or tracking is off or faulty (the latter
        with a warning).
    """
    uri = store_uri(tracking, root)
    if not tracking.enabled:
        return 0
    try:
        if uri.startswith(SQLITE) and not Path(uri.removeprefix(SQLITE)).exists():
            return 0  # nothing was ever tracked: no reason to make a store
        with quiet():
            return _attach(open_store(tracking, root), model_digest, metrics, tags or {})
    except Exception as error:
        warn("attach test metrics", error, uri, "the files are complete without them")
        return 0


def _attach(
    store: Store, model_digest: str, metrics: Mapping[str, float], tags: Mapping[str, Any]
) -> int:
    from mlflow.entities import Metric, RunTag

    runs = store.client.search_runs(
        [store.experiment_id], filter_string=f"tags.model_digest = '{model_digest}'"
    )
    now = int(time.time() * 1000)
    for run in runs:
        models = run.outputs.model_outputs if run.outputs else []
        model_id = models[-1].model_id if models else None
        store.client.log_batch(
            run.info.run_id,
            metrics=[
                Metric(name, float(value), now, 0, model_id=model_id)
                for name, value in metrics.items()
            ],
            tags=[RunTag(name, str(value)) for name, value in tags.items()],
            synchronous=True,
        )
    return len(runs)
