"""Write a journal's entries into MLflow, each so that it may be repeated.

What is there already is found by its tag and not made twice: the run by `quickspine_run`, its model
by the run, a version in the registry by the model's digest. Equal metric points count once in
MLflow. Where a request was carried out after it was given up, a spare run with the same tag may
remain.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quickspine.files import sha256
from quickspine.params import Tracking
from quickspine.tracking import logged_model, registry
from quickspine.tracking.journal import Claimed, Entry, waiting
from quickspine.tracking.mlflow_setup import brief
from quickspine.tracking.store import Store, open_store, store_uri
from quickspine.tracking.system_metrics import SystemMetrics

RUN_TAG = "quickspine_run"  # the journal's id
PARENT_TAG = "mlflow.parentRunId"  # by this tag MLflow's pages nest runs
DATASET_DIGEST = 12  # characters shown; MLflow allows 36, our tag has all
AFTER_THE_END = ("attach", "candidate")  # about other runs: this one is whole before them
INVALID = frozenset({"INVALID_PARAMETER_VALUE"})
NO_REGISTRY = INVALID | {"ENDPOINT_NOT_FOUND", "FEATURE_DISABLED"}  # of a server without one


class DeletedError(Exception):
    """The run was recorded, and then deleted by someone: it is not made again."""


@dataclass
class Outcome:
    """The result of a delivery.

    Attributes:
        run_id: MLflow's id of the run.
        model_id: MLflow's id of the logged model.
        decision: of the registry about a candidate.
        left: why the journal stays; empty where all is delivered.
        refused: what MLflow will never take, with the reasons.
    """

    run_id: str | None = None
    model_id: str | None = None
    decision: str | None = None
    left: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


class Recorder:
    """Writes one journal into the store; `store` is None until it is open, and after a fault.

    Attributes:
        outcome: as far as it is known.
    """

    def __init__(
        self,
        journal: Claimed,
        tracking: Tracking,
        root: Path,
        end: Entry | None,
        sampling_s: float | None,
    ) -> None:
        self.store: Store | None = None
        self.outcome = Outcome()
        self._journal, self._tracking, self._root, self._end = journal, tracking, root, end
        self._system_metrics = SystemMetrics(store_uri(tracking, root), sampling_s)
        self._entries: list[Entry] = []
        self._delivered = 0  # entries

    def advance(self, is_last: bool) -> bool:
        """Deliver what was added to the journal; return whether all of it is delivered.

        Args:
            is_last: whether nothing will be added any more.

        Raises:
            Exception: whatever the store, or the way there, raises; DeletedError.
        """
        self._entries += self._journal.read()
        if not self._entries:
            raise ValueError("the journal is damaged: it has no first entry")
        if is_last and self._entries[-1]["kind"] != "end":
            killed = {"kind": "end", "time_ms": self._entries[-1]["time_ms"], "status": "KILLED"}
            self._entries.append(dict(self._end or killed))
        if self.store is None or is_last:  # a deleted SQLite file takes what nobody will see
            self.store = self._open()
        has_ended = self._entries[-1]["kind"] == "end"
        if has_ended:
            self._system_metrics.stop()
        for kind, neighbours in itertools.groupby(
            self._entries[self._delivered :], key=lambda entry: str(entry["kind"])
        ):
            group = list(neighbours)
            if kind not in AFTER_THE_END:
                self._deliver(kind, group)
            self._delivered += len(group)
        if not has_ended:
            self._system_metrics.keep_on(self.outcome.run_id)
            return False
        if not is_last:  # its process will say so in a moment
            return False
        for entry in self._entries:
            if entry["kind"] in AFTER_THE_END:
                self._deliver(entry["kind"], [entry])
        return True

    def _open(self) -> Store:
        """Open the store and look for the run; begin anew where it is not there any more."""
        begin = self._entries[0]
        named = self._tracking.model_copy(update={"experiment": begin["experiment"]})
        store = open_store(named, self._root)
        run = _find_run(store, begin["id"], self.outcome.run_id)
        run_id = run.info.run_id if run is not None else None
        if run_id is None or run_id != self.outcome.run_id:
            self._delivered = 0
            self.outcome = Outcome(run_id)
        return store

    def _deliver(self, kind: str, entries: Sequence[Entry]) -> None:
        """Deliver entries of one kind; note what MLflow refuses as invalid, and pass over it."""
        try:
            getattr(self, f"_deliver_{kind}")(entries)
        except Exception as error:
            code = getattr(error, "error_code", None)
            is_refused = code in (NO_REGISTRY if kind == "candidate" else INVALID)
            if not is_refused or self.outcome.run_id is None:
                raise
            self.outcome.refused.append(f"{kind} ({brief(error, self._store.uri)})")

    @property
    def _store(self) -> Store:
        assert self.store is not None  # noqa: S101 - `advance` opened it
        return self.store

    def _deliver_begin(self, entries: Sequence[Entry]) -> None:
        from mlflow.entities import Param

        (entry,) = entries
        client = self._store.client
        if self.outcome.run_id is None:
            run = client.create_run(
                self._store.experiment_id,
                start_time=entry["time_ms"],
                run_name=entry["name"],
                tags={**entry["tags"], RUN_TAG: entry["id"]},
            )
            self.outcome.run_id = run.info.run_id
        params = [Param(key, value) for key, value in entry["params"].items()]
        client.log_batch(self.outcome.run_id, params=params, synchronous=True)

    def _deliver_text(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self._store.client.log_text(self.outcome.run_id, entry["text"], entry["file"])

    def _deliver_dataset(self, entries: Sequence[Entry]) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        (entry,) = entries
        inputs = self._store.client.get_run(self.outcome.run_id).inputs
        if inputs and inputs.dataset_inputs:
            return
        name = entry["name"]
        dataset = Dataset(
            name=name,
            digest=entry["digest"][:DATASET_DIGEST],
            source_type="quickspine",
            source=json.dumps({"source": name}),
            profile=json.dumps(entry["facts"], default=str),
        )
        used = [DatasetInput(dataset, [InputTag("mlflow.data.context", entry["context"])])]
        self._store.client.log_inputs(self.outcome.run_id, used)

    def _deliver_metrics(self, entries: Sequence[Entry]) -> None:
        own = self.outcome.model_id
        points = [(entry, own if entry["of_model"] else None) for entry in entries]
        self._log_metrics(self.outcome.run_id, points)

    def _log_metrics(self, run_id: str | None, entries: Sequence[tuple[Entry, str | None]]) -> None:
        """Log the values of entries, each for a model or none, with the data set they are on."""
        from mlflow.entities import Metric

        dataset = next((each for each in self._entries if each["kind"] == "dataset"), None)
        on = (dataset["name"], dataset["digest"][:DATASET_DIGEST]) if dataset else (None, None)
        points = [
            Metric(key, value, entry["time_ms"], entry["step"], model, *(on if model else ()))
            for entry, model in entries
            for key, value in entry["values"].items()
        ]
        self._store.client.log_batch(run_id, metrics=points, synchronous=True)

    def _deliver_tags(self, entries: Sequence[Entry]) -> None:
        from mlflow.entities import RunTag

        values = {key: value for entry in entries for key, value in entry["values"].items()}
        tags = [RunTag(key, value) for key, value in values.items()]
        self._store.client.log_batch(self.outcome.run_id, tags=tags, synchronous=True)

    def _deliver_artifact(self, entries: Sequence[Entry]) -> None:
        client = self._store.client
        for entry in entries:
            kept = self._journal.folder / entry["file"]
            if kept.exists():
                log = client.log_artifacts if kept.is_dir() else client.log_artifact
                log(self.outcome.run_id, str(kept), entry["folder"])
            else:
                self._leave(f"{entry['file']} is missing in the pending folder")

    def _deliver_model(self, entries: Sequence[Entry]) -> None:
        (entry,) = entries
        client = self._store.client
        model_id = _model_of(client.get_run(self.outcome.run_id))
        kept = self._journal.folder / entry["file"]
        if model_id is None and not (kept.is_file() and sha256(kept) == entry["digest"]):
            self._leave(f"{entry['file']} is missing or damaged in the pending folder")
        elif model_id is None:
            begin = self._entries[0]
            model_id = logged_model.log_model(
                self._store,
                str(self.outcome.run_id),
                kept,
                name=begin["name"],
                input_shape=entry["input_shape"],
                classes=entry["classes"],
                params=begin["params"],
                tags={"model_digest": entry["digest"]},
            )
        self.outcome.model_id = model_id
        client.set_tag(self.outcome.run_id, "model_digest", entry["digest"])

    def _deliver_end(self, entries: Sequence[Entry]) -> None:
        end = entries[-1]
        client = self._store.client
        client.set_terminated(self.outcome.run_id, status=end["status"], end_time=end["time_ms"])

    def _deliver_attach(self, entries: Sequence[Entry]) -> None:
        """Log metrics to the trainings of a model, and nest them under this run."""
        from mlflow.entities import LoggedModelInput

        (entry,) = entries
        client, own_id = self._store.client, self.outcome.run_id
        self._wait_for(entry["model_digest"])
        inputs = client.get_run(own_id).inputs
        known = {each.model_id for each in inputs.model_inputs} if inputs else set()
        for training in find_trainings(self._store, entry["model_digest"]):
            training_id, model_id = training.info.run_id, _model_of(training)
            if training_id == own_id:
                continue
            self._log_metrics(training_id, [(entry, model_id)])
            client.set_tag(training_id, PARENT_TAG, own_id, synchronous=True)
            if model_id is not None and model_id not in known:
                client.log_inputs(own_id, models=[LoggedModelInput(model_id)])

    def _deliver_candidate(self, entries: Sequence[Entry]) -> None:
        (entry,) = entries
        if self._wait_for(entry["model_digest"]):
            return
        trainings = [
            (training, _model_of(training))
            for training in find_trainings(self._store, entry["model_digest"])
        ]
        self.outcome.decision = registry.put_forward(
            self._store, entry, str(self.outcome.run_id), trainings, self._root
        )

    def _wait_for(self, model_digest: str) -> bool:
        """Leave this journal where a training of the model is still to be delivered."""
        others = [each for each in waiting(self._root) if each.folder != self._journal.folder]
        waits = any(model_digest in other.model_digests for other in others)
        if waits:
            self._leave(f"the training of model {model_digest[:12]} is not recorded yet")
        return waits

    def _leave(self, reason: str) -> None:
        if reason not in self.outcome.left:
            self.outcome.left.append(reason)


def find_trainings(store: Store, model_digest: str) -> list[Any]:
    """The runs that trained a model, the last one first; it may have been trained twice."""
    filter_string = f"tags.model_digest = '{model_digest}'"
    return list(store.client.search_runs([store.experiment_id], filter_string=filter_string))


def _find_run(store: Store, journal_id: str, known_id: str | None) -> Any:
    """The run of a journal, None where there is none.

    Raises:
        DeletedError: where it was there and someone deleted it.
    """
    from mlflow.entities import ViewType

    runs = store.client.search_runs(
        [store.experiment_id],
        filter_string=f"tags.{RUN_TAG} = '{journal_id}'",
        run_view_type=ViewType.ALL,
    )
    active = [run for run in runs if run.info.lifecycle_stage == "active"]
    if runs and not active:
        raise DeletedError("it was recorded, and deleted there")

    def fullness(run: Any) -> tuple[bool, int]:  # a spare one holds less
        return run.info.run_id == known_id, len(run.data.metrics) + len(run.data.params)

    return max(active, key=fullness, default=None)


def _model_of(run: Any) -> str | None:
    """The id of the model that a run made, None where there is none yet."""
    models = run.outputs.model_outputs if run.outputs else []
    return str(models[-1].model_id) if models else None
