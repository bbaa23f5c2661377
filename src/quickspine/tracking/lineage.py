"""An evaluation's run as the parent of the trainings that it compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from quickspine.tracking.found import model_of
from quickspine.tracking.store import Store

PARENT = "mlflow.parentRunId"  # by this tag MLflow's pages nest runs
GONE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # no such run, or no id of one


def link(store: Store, evaluation: str, trainings: Sequence[Any]) -> None:
    """Nest trainings under an evaluation's run, and log their models as its inputs.

    A run has one parent: of several evaluations of the same models, the one that began last. The
    order in which they are recorded does not matter.

    Args:
        store: the open one.
        evaluation: id of its run.
        trainings: runs, of one model or of several.
    """
    own = store.client.get_run(evaluation)
    known = {each.model_id for each in own.inputs.model_inputs} if own.inputs else set()
    for run in trainings:
        if run.info.run_id == evaluation:
            continue  # no run is its own parent
        parent = run.data.tags.get(PARENT)
        if parent != evaluation and not _began_later(store, parent, own):
            store.client.set_tag(run.info.run_id, PARENT, evaluation)
        model_id = model_of(run)
        if model_id is not None and model_id not in known:
            from mlflow.entities import LoggedModelInput

            store.client.log_inputs(evaluation, models=[LoggedModelInput(model_id)])
            known.add(model_id)


def _began_later(store: Store, parent: str | None, own: Any) -> bool:
    """Whether a run's parent is there and began after this evaluation."""
    if parent is None:
        return False
    try:
        other = store.client.get_run(parent)
    except Exception as error:
        if getattr(error, "error_code", None) in GONE:
            return False
        raise
    active = other.info.lifecycle_stage == "active"
    return bool(active and other.info.start_time > own.info.start_time)
