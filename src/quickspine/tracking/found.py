"""What is in the store already: a journal's run, a run's model, the trainings of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from quickspine.tracking.pending import RUN_TAG
from quickspine.tracking.store import Store

Entry = Mapping[str, Any]  # of a journal


class DeletedError(Exception):
    """The run was recorded, and then deleted by someone: it is not made again."""


def find_run(store: Store, begin: Entry) -> Any:
    """The run of a journal, None where there is none; spare ones are deleted.

    A server that is slow to answer may have made a run that we gave up waiting for.

    Args:
        store: the open one.
        begin: the journal's first entry.

    Raises:
        DeletedError: where it was there and someone deleted it.
    """
    from mlflow.entities import ViewType

    found = store.client.search_runs(
        [store.experiment_id],
        filter_string=f"tags.{RUN_TAG} = '{begin['id']}'",
        run_view_type=ViewType.ALL,
    )
    active = sorted(
        (run for run in found if run.info.lifecycle_stage == "active"),
        # The one that holds most; of equal ones always the same.
        key=lambda run: (-len(run.data.metrics) - len(run.data.params), run.info.run_id),
    )
    for spare in active[1:]:
        store.client.delete_run(spare.info.run_id)
    if found and not active:
        raise DeletedError("it was recorded, and deleted there")
    return active[0] if active else None


def model_of(run: Any) -> str | None:
    """The id of the model that a run made, None where there is none yet."""
    models = run.outputs.model_outputs if run.outputs else []
    return str(models[-1].model_id) if models else None


def runs_of(store: Store, model_digest: str) -> list[Any]:
    """The trainings that made a model, the last one first; it may have been trained twice."""
    found = store.client.search_runs(
        [store.experiment_id], filter_string=f"tags.model_digest = '{model_digest}'"
    )
    return list(found)


def attach_metrics(store: Store, entry: Entry, runs: Sequence[Any]) -> None:
    """Log an entry's metrics and tags to runs, and to their logged models."""
    from mlflow.entities import Metric, RunTag

    for run in runs:
        model_id = model_of(run)
        store.client.log_batch(
            run.info.run_id,
            metrics=[
                Metric(name, value, entry["time_ms"], 0, model_id=model_id)
                for name, value in entry["values"].items()
            ],
            tags=[RunTag(key, value) for key, value in entry["tags"].items()],
            synchronous=True,
        )
