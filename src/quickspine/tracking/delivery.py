"""From a journal to MLflow. Every step may be repeated: what is there already is not made twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from quickspine.files import sha256
from quickspine.tracking.facts import dataset_input
from quickspine.tracking.found import Entry, attach_metrics, find_run, model_of, runs_of
from quickspine.tracking.lineage import link
from quickspine.tracking.model import log_model
from quickspine.tracking.pending import RUN_TAG, pending
from quickspine.tracking.quiet import brief
from quickspine.tracking.registry import DECISION, NotRecordedError, put_forward
from quickspine.tracking.store import Store

PARAMS_A_CALL = 100  # MLflow's limit
METRICS_A_CALL = 500  # under MLflow's limit, 1000
INVALID = frozenset({"INVALID_PARAMETER_VALUE"})
NO_REGISTRY = INVALID | {"ENDPOINT_NOT_FOUND", "FEATURE_DISABLED"}  # of a server without one


class Delivery:
    """One journal on its way into an open store.

    Attributes:
        run_id: of the run in MLflow; None before it is there, and where the journal has no run.
        model_id: of its logged model.
        open: what cannot be recorded yet, each with its reason; asked again by `finish`.
        refused: what MLflow will never take, each with its reason.
    """

    def __init__(self, store: Store, folder: Path, root: Path) -> None:
        self._store, self._folder, self._root = store, folder, root
        self._name = ""
        self._params: Mapping[str, str] = {}
        self.run_id: str | None = None
        self.model_id: str | None = None
        self.open: list[tuple[Entry, str]] = []
        self.refused: list[str] = []
        self._whole = False  # whether all else of the run is recorded
        self._steps: dict[str, Callable[[Sequence[Entry]], None]] = {
            "begin": self._begin,
            "text": self._text,
            "dataset": self._dataset,
            "metrics": self._metrics,
            "tags": self._tags,
            "artifact": self._artifact,
            "model": self._model,
            "attach": self._attach,
            "candidate": self._candidate,
            "end": self._end,
        }

    def send(self, entries: Sequence[Entry]) -> Iterator[int]:
        """Record entries in their order.

        Yields:
            How many of them are done, after each call to the store.

        Raises:
            Exception: whatever the store, or the way there, has to say; DeletedError.
        """
        done = 0
        for group in _grouped(entries):
            self._take(group)
            done += len(group)
            yield done

    def move(self, store: Store, begin: Entry) -> bool:
        """Go on in a store opened anew; False where what was recorded is not there any more."""
        self._store = store
        if not begin["run"]:
            return True
        if self.run_id is None:
            return False
        found = find_run(self._store, begin)
        return found is not None and found.info.run_id == self.run_id

    def finish(self) -> list[str]:
        """What is still open after another look, as reasons."""
        waiting, self.open = self.open, []
        self._whole = True
        for position, (entry, _) in enumerate(waiting):
            try:
                self._take([entry])
            except Exception:
                self.open += waiting[position:]  # for the next try
                raise
        return [reason for _, reason in self.open]

    def _take(self, group: Sequence[Entry]) -> None:
        """Record neighbours of one kind; what MLflow will never take is noted, and passed over."""
        kind = group[0]["kind"]
        try:
            self._steps[kind](group)
        except Exception as error:
            code = getattr(error, "error_code", None)
            wrong = code in (NO_REGISTRY if kind == "candidate" else INVALID)
            if not wrong or (kind == "begin" and self.run_id is None):
                raise
            self.refused.append(f"{kind} ({brief(error, self._store.uri)})")

    def _begin(self, group: Sequence[Entry]) -> None:
        (entry,) = group
        if not entry["run"]:
            return
        self._name, self._params = entry["name"], entry["params"]
        client = self._store.client
        found = find_run(self._store, entry)
        if found is None:
            found = client.create_run(
                self._store.experiment_id,
                start_time=entry["time_ms"],
                run_name=entry["name"],
                tags={**entry["owner"], **entry["tags"], RUN_TAG: entry["id"]},
            )
        self.run_id = found.info.run_id
        self.model_id = model_of(found)
        from mlflow.entities import Param

        pairs = [Param(key, value) for key, value in self._params.items()]
        for first in range(0, len(pairs), PARAMS_A_CALL):
            chunk = pairs[first : first + PARAMS_A_CALL]
            client.log_batch(self.run_id, params=chunk, synchronous=True)

    def _text(self, group: Sequence[Entry]) -> None:
        for entry in group:
            self._store.client.log_text(self.run_id, entry["text"], entry["file"])

    def _dataset(self, group: Sequence[Entry]) -> None:
        known = self._store.client.get_run(self.run_id).inputs
        names = {d.dataset.digest for d in known.dataset_inputs} if known else set()
        for entry in group:
            given = dataset_input(entry["name"], entry["digest"], entry["facts"])
            if given.dataset.digest not in names:
                self._store.client.log_inputs(self.run_id, [given])

    def _metrics(self, group: Sequence[Entry]) -> None:
        from mlflow.entities import Metric

        points = [
            Metric(
                name,
                value,
                entry["time_ms"],
                entry["step"],
                model_id=self.model_id if entry["of_model"] else None,
            )
            for entry in group
            for name, value in entry["values"].items()
        ]
        for first in range(0, len(points), METRICS_A_CALL):
            chunk = points[first : first + METRICS_A_CALL]
            self._store.client.log_batch(self.run_id, metrics=chunk, synchronous=True)

    def _tags(self, group: Sequence[Entry]) -> None:
        from mlflow.entities import RunTag

        pairs = {key: value for entry in group for key, value in entry["values"].items()}
        tags = [RunTag(key, value) for key, value in pairs.items()]
        self._store.client.log_batch(self.run_id, tags=tags, synchronous=True)

    def _artifact(self, group: Sequence[Entry]) -> None:
        for entry in group:
            place = self._kept(entry)
            if place is not None:
                client = self._store.client
                log = client.log_artifacts if place.is_dir() else client.log_artifact
                log(self.run_id, str(place), entry["folder"])

    def _model(self, group: Sequence[Entry]) -> None:
        (entry,) = group
        client, digest = self._store.client, entry["digests"][""]
        self.model_id = model_of(client.get_run(self.run_id))
        file = self._kept(entry) if self.model_id is None else None
        if file is not None:
            self.model_id = log_model(
                self._store,
                str(self.run_id),
                file,
                name=self._name,
                input_shape=entry["input_shape"],
                classes=entry["classes"],
                params=self._params,
                tags={"model_digest": digest},
            )
        client.set_tag(self.run_id, "model_digest", digest)

    def _attach(self, group: Sequence[Entry]) -> None:
        for entry in group:
            digest = entry["model_digest"]
            waits = self._waits(digest)  # before the look: what is recorded in between is seen
            trainings = runs_of(self._store, digest)
            attach_metrics(self._store, entry, trainings)
            if self.run_id is not None:
                link(self._store, self.run_id, trainings)
            if waits:
                reason = f"the training of model {digest[:12]} is not recorded yet"
                self.open.append((entry, reason))

    def _candidate(self, group: Sequence[Entry]) -> None:
        # After the rest: whatever the registry does, the run is whole by then.
        for entry in group:
            if not self._whole:
                self.open.append((entry, "not put forward yet"))
                continue
            waits = self._waits(entry["model_digest"])
            try:
                put_forward(self._store, entry, str(self.run_id), self._root)
            except NotRecordedError as error:
                if waits:
                    self.open.append((entry, f"{error} yet"))
                else:  # it came out of DVC's cache, or its run was deleted
                    self._store.client.set_tag(self.run_id, DECISION, f"none: {error}")

    def _waits(self, digest: str) -> bool:
        """Whether a training of this model is still to be recorded."""
        others = [each for each in pending(self._root) if each.folder != self._folder]
        return any(digest in other.model_digests for other in others)

    def _end(self, group: Sequence[Entry]) -> None:
        if self.run_id is not None:
            status, at = group[-1]["status"], group[-1]["time_ms"]
            self._store.client.set_terminated(self.run_id, status=status, end_time=at)

    def _kept(self, entry: Entry) -> Path | None:
        """Where a kept file or folder lies, unless it is no longer what was logged."""
        place = self._folder / str(entry["file"])
        for name, digest in entry["digests"].items():
            part = place / name if name else place
            if not part.is_file() or sha256(part) != digest:
                at = Path(self._folder.name) / entry["file"] / name
                self.open.append((entry, f"{at} is missing or damaged in the pending folder"))
                return None
        return place


def _grouped(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Neighbours that one call can record; each of the rest alone."""
    together = {"metrics", "tags"}
    group: list[Entry] = []
    for entry in entries:
        if group and not (entry["kind"] == group[0]["kind"] and entry["kind"] in together):
            yield group
            group = []
        group.append(entry)
    if group:
        yield group
