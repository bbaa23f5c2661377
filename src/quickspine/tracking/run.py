"""One tracked run: what can be logged to it, none of which stands in the way of the work."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from quickspine.params import Tracking
from quickspine.tracking.background import Background
from quickspine.tracking.champion import Candidate, choose, proposal, registered_name
from quickspine.tracking.environment import environment
from quickspine.tracking.facts import texts
from quickspine.tracking.journal import LINES, Journal, now_ms
from quickspine.tracking.owner import identity
from quickspine.tracking.pending import pending, read_state
from quickspine.tracking.quiet import note, warn
from quickspine.tracking.store import project_root, store_uri

SAMPLING_S = 5.0  # seconds between two samples of the system metrics
END_S = 30.0  # what recording the rest may take once the work is done
REASONS = 2  # told in a warning
HURRIED_S = 2.0  # and where a signal ends it: a stage is gone 5 s after one


class TrackedRun:
    """A run that is being tracked, or, where it cannot be kept or tracking is off, is not.

    What is logged goes into the run's journal, and from there to MLflow by a process of its own.
    No method raises or waits for the store; the first fault prints one warning, and the end of the
    run a second one, where something is still to be recorded.
    """

    def __init__(self, tracking: Tracking, root: Path | None = None) -> None:
        self._tracking = tracking
        self._root = (root or project_root()).resolve()
        self._uri = store_uri(tracking, root)
        self._journal: Journal | None = None
        self._background: Background | None = None
        self._outcome: dict[str, Any] = {}
        self._folder: Path | None = None
        self._name = ""
        self._has_model = False
        self._warned = False
        self._lingers = False  # whether the recording goes on after the end of the run

    @property
    def tracked(self) -> bool:
        """Whether what is logged now is kept."""
        return self._journal is not None

    @property
    def run_id(self) -> str | None:
        """MLflow's id of the run; None as long as it is not recorded."""
        return self._told("run_id")

    @property
    def model_id(self) -> str | None:
        """MLflow's id of the logged model: `models:/<id>` loads it; None before."""
        return self._told("model_id")

    def start(
        self,
        name: str,
        params: Mapping[str, str],
        tags: Mapping[str, str],
        run: bool = True,
    ) -> None:
        """Begin the journal, and a process that records it.

        Args:
            name: of the run.
            params: of the run.
            tags: further ones.
            run: False for a journal that adds to earlier runs and is none itself.
        """
        self._name = name
        if run and (count := sum(journal.waits() for journal in pending(self._root))):
            note(f"{count} earlier {'run waits' if count == 1 else 'runs wait'} for `make sync`")
        try:
            begin = {
                "name": name,
                "run": run,
                "params": dict(params),
                "tags": dict(tags),
                "owner": identity(),
                "experiment": self._tracking.experiment,
            }
            self._journal = Journal(self._root, begin)
            self._folder = self._journal.folder
        except Exception as error:
            warn("keep a run", error, self._uri, "going on untracked")
            return
        try:
            sampling_s = SAMPLING_S if self._tracking.system_metrics and run else None
            self._background = Background(self._folder, self._tracking, self._root, sampling_s)
        except Exception as error:
            self._outcome = {"left": [f"no process for it: {error}"]}
        if run:  # beside the start of that process: asking for GPUs takes a while
            self._put(
                "keep environment.json",
                lambda: {"file": "environment.json", "text": json.dumps(environment(), indent=2)},
                "text",
            )

    def log_dataset(self, name: str, digest: str, facts: Mapping[str, Any]) -> None:
        """Show a data set, its digest and facts about it with the run."""
        entry = {"name": name, "digest": digest, "facts": dict(facts)}
        self._put("keep the data set", lambda: entry, "dataset")

    def log_epoch(self, epoch: int, metrics: Mapping[str, float | None]) -> None:
        """Log the metrics of an epoch (its number is the step); None values are left out."""
        self.log_metrics(metrics, step=epoch)

    def log_metrics(self, metrics: Mapping[str, float | None], step: int = 0) -> None:
        """Log metrics; to the logged model too, once there is one."""

        def entry() -> dict[str, Any]:
            values = {name: float(v) for name, v in metrics.items() if v is not None}
            return {"values": values, "step": int(step), "of_model": self._has_model}

        self._put("keep metrics", entry, "metrics")

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set tags; None values are left out."""
        self._put("keep tags", lambda: {"values": texts(tags)}, "tags")

    def log_artifact(self, path: Path, folder: str | None = None) -> None:
        """Copy a file, or a folder's contents, to the run's artifacts (into `folder` there)."""

        def entry() -> dict[str, Any]:
            return {**self._keep(Path(path)), "folder": folder}

        self._put(f"keep {Path(path).name}", entry, "artifact")

    def log_model(self, path: Path, *, input_shape: Sequence[int], classes: int) -> None:
        """Log `model.keras`, and tag the run with its digest.

        Args:
            path: the file, or the folder that holds it; never changed in place.
            input_shape: height, width, channels of the uint8 images that it takes.
            classes: logits that it returns an image.
        """

        def entry() -> dict[str, Any]:
            file = path / "model.keras" if path.is_dir() else path
            kept = self._keep(file, link=True)
            self._has_model = True
            return {**kept, "input_shape": list(input_shape), "classes": classes}

        self._put("keep the model", entry, "model")

    def attach(
        self, model_digest: str, metrics: Mapping[str, float], tags: Mapping[str, Any]
    ) -> None:
        """Log metrics to the trainings of one model: `quickspine.tracking.attach`."""

        def entry() -> dict[str, Any]:
            values = {name: float(value) for name, value in metrics.items()}
            return {"model_digest": model_digest, "values": values, "tags": texts(tags)}

        self._put("keep test metrics", entry, "attach")

    def propose(
        self, candidates: Sequence[Candidate], *, source: str, data_digest: str, drawings: int
    ) -> None:
        """Put the best candidate forward to the model registry, and say under which name.

        Champion or challenger is decided where the run is recorded, by `champion.decide`; the
        decision is the tag `registry_decision` of the run.

        Args:
            candidates: at least one; `champion.choose` takes one of them.
            source: of the drawings, such as "doodles".
            data_digest: hex sha256 of the data set.
            drawings: validation drawings behind the candidates' accuracies.
        """
        if self._journal is None:
            return
        best = choose(candidates)
        name = registered_name(self._tracking.experiment, source, data_digest)
        self._put("keep the candidate", lambda: proposal(best, name, drawings), "candidate")
        note(
            f"{best.name}, the best on validation, goes to the model registry as {name}; "
            "@champion or @challenger, and why, will stand there: `make ui`, Model registry"
        )

    def finish(self, model_digest: str | None = None) -> None:
        """End the run well; the end of the `with` block does the same."""
        self.set_tags({"model_digest": model_digest})
        self.end("FINISHED")

    def end(self, status: str, hurried: bool = False) -> None:
        """End the run as FINISHED, FAILED or KILLED; what is logged later goes nowhere.

        Args:
            status: one of these.
            hurried: wait for the rest to be recorded 2 s at most, not half a minute.
        """
        if self._journal is None:
            return
        end = {"kind": "end", "time_ms": now_ms(), "status": status}
        self._put("keep the end of the run", lambda: {"status": status}, "end")
        journal, self._journal = self._journal, None
        whole = journal.close()
        limit_s = HURRIED_S if hurried else END_S
        if self._background is not None:
            background, self._background = self._background, None
            fault = read_state(journal.folder).get("fault")
            told = background.finish(end, limit_s)
            reason = fault or f"not done {limit_s:.0f} s after its end"
            self._outcome = {"left": [reason]} if told is None else told
            self._lingers = told is None and fault is None
        self._report(journal, whole)

    def _report(self, journal: Journal, whole: bool) -> None:
        left, refused = _words(self._outcome, "left"), _words(self._outcome, "refused")
        if left and (journal.folder / LINES).exists():
            part = "" if whole else " in part"
            kept = f"it is kept{part} in mlruns/pending, and `make sync` records it"
            if self._lingers:
                kept = f"it goes on for a minute; what is not done then{kept.removeprefix('it')}"
            warn(f"record {self._name} yet", left, self._uri, kept)
        elif left:
            warn(f"record {self._name}", left, self._uri, "it is lost")
        if refused:
            warn(f"record all of {self._name}", refused, self._uri, "the rest is there")

    def _keep(self, path: Path, link: bool = False) -> dict[str, Any]:
        return self._journal.keep(path, link) if self._journal is not None else {}

    def _put(self, doing: str, entry: Callable[[], Mapping[str, Any]], kind: str) -> None:
        if self._journal is None:
            return
        try:
            self._journal.append(kind, **entry())
        except Exception as error:
            if not self._warned:
                warn(doing, error, self._uri, "going on without")
            self._warned = True

    def _told(self, key: str) -> str | None:
        if self._folder is None:
            return None
        value = (self._outcome or read_state(self._folder)).get(key)
        return None if value is None else str(value)


def _words(outcome: Mapping[str, Any], key: str) -> str:
    """The first reasons of a list, and how many more there are."""
    reasons = list(dict.fromkeys(outcome.get(key) or []))
    more = [f"and {len(reasons) - REASONS} more"] if len(reasons) > REASONS else []
    return "; ".join([*reasons[:REASONS], *more])
