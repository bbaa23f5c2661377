"""A block of work as one tracked run."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from quickspine.files import sha256
from quickspine.params import Params, Tracking
from quickspine.params.paths import nearest_project, project_root
from quickspine.tracking.champion import Candidate, choose, registered_name
from quickspine.tracking.environment import environment, git_facts
from quickspine.tracking.journal import LINES, Entry, Journal, now_ms, waiting
from quickspine.tracking.mlflow_setup import masked, note, warn
from quickspine.tracking.relay import Relay
from quickspine.tracking.store import store_uri

SAMPLING_S = 5.0  # seconds between two samples of the system metrics
END_S = 30.0  # what delivering the rest may take once the work is done
HURRIED_S = 2.0  # and where a signal ends it: a stage is gone 5 s after one
REASONS = 2  # named in a warning


@contextlib.contextmanager
def tracked_run(
    params: Params,
    *,
    stage: str,
    head: str | None = None,
    seed: int | None = None,
    sections: Sequence[str] = (),
    device: str | None = None,
    data_digest: str | None = None,
    dataset: Mapping[str, Any] | None = None,
    synthetic: bool | None = None,
    tags: Mapping[str, Any] | None = None,
) -> Iterator[TrackedRun]:
    """Track the block as one run, named after stage, head and seed.

    An exception in the block ends the run as FAILED; KeyboardInterrupt (Ctrl-C, and in a stage
    SIGTERM too) and `sys.exit` with a signal's code as KILLED; each goes on to the caller.

    Args:
        params: all of them; `params.tracking` says where to.
        stage: such as "train".
        head: such as "spinal".
        seed: of the training.
        sections: of the params that the stage depends on; all, where empty. Never `tracking`.
        device: what it trains on, such as "cpu".
        data_digest: hex sha256 of the data set.
        dataset: facts about the data set to show with it, such as counts.
        synthetic: whether the images were made by a program.
        tags: further ones; None values are left out.

    Yields:
        The run; with `tracking.enabled: false`, one that does nothing.
    """
    run = TrackedRun(params.tracking)
    if not params.tracking.enabled:
        yield run
        return
    chosen = [name for name in sections or type(params).model_fields if name != "tracking"]
    flat = {k: v for k, v in params.flat().items() if k.partition(".")[0] in chosen}
    name = "-".join(str(part) for part in (stage, head, seed) if part is not None)
    facts = {
        "stage": stage,
        "head": head,
        "seed": seed,
        "params_digest": params.digest(*chosen),
        "data_digest": data_digest,
        "dvc_experiment": os.environ.get("DVC_EXP_NAME"),
        "device": device,
        "source": params.data.name,
        "synthetic": synthetic,
    }
    try:
        run.start(name, _texts(flat, none="null"), _texts({**facts, **_origin(), **(tags or {})}))
        if data_digest is not None:
            context = "evaluation" if stage == "evaluate" else "training"
            run.log_dataset(params.data.name, data_digest, dataset or {}, context)
        yield run
    except BaseException as error:
        run.end(_status(error), is_hurried=not isinstance(error, Exception))
        raise
    run.end("FINISHED")


class TrackedRun:
    """A run that is tracked, unless tracking is off or nothing can be kept.

    Entries go into the run's journal, and from there to MLflow by a process of its own. No method
    raises or waits for the store; the first fault prints one warning, and the end of the run a
    second one, where something is still to be delivered.
    """

    def __init__(self, tracking: Tracking) -> None:
        self._tracking = tracking
        self._root = project_root().resolve()
        self._uri = store_uri(tracking)
        self._journal: Journal | None = None
        self._relay: Relay | None = None
        self._outcome: dict[str, Any] = {}
        self._name = ""
        self._has_model = False
        self._has_warned = False

    @property
    def run_id(self) -> str | None:
        """MLflow's id of the run, after its end; None before, and where it is not recorded."""
        return self._outcome.get("run_id")

    def start(self, name: str, params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Begin the journal, and the process that delivers it."""
        self._name = name
        left = [each for each in waiting(self._root) if each.ended and each.is_abandoned()]
        if left:
            plural = "run waits" if len(left) == 1 else "runs wait"
            note(f"{len(left)} earlier {plural} for `make sync`")
        try:
            experiment = self._tracking.experiment
            begin = {"name": name, "params": params, "tags": tags, "experiment": experiment}
            self._journal = Journal(self._root, begin)
        except Exception as error:
            warn("keep a run", error, self._uri, "going on untracked")
            return
        try:
            sampling_s = SAMPLING_S if self._tracking.system_metrics else None
            self._relay = Relay(self._journal.folder, self._tracking, self._root, sampling_s)
        except Exception as error:
            self._outcome = {"left": [f"no process for it: {error}"]}
        # Beside the start of that process: asking for GPUs takes a while.
        self._put(
            "keep environment.json",
            "text",
            lambda _: {"file": "environment.json", "text": json.dumps(environment(), indent=2)},
        )

    def log_dataset(
        self, name: str, digest: str, facts: Mapping[str, Any], context: str = "training"
    ) -> None:
        """Show a data set, its digest and facts about it with the run."""
        entry = {"name": name, "digest": digest, "facts": facts, "context": context}
        self._put("keep the data set", "dataset", lambda _: entry)

    def log_epoch(self, epoch: int, metrics: Mapping[str, float | None]) -> None:
        """Log the metrics of an epoch (its number is the step); None values are left out."""
        self.log_metrics(metrics, step=epoch)

    def log_metrics(self, metrics: Mapping[str, float | None], step: int = 0) -> None:
        """Log metrics; to the logged model too, once there is one. None values are left out."""

        def entry(_: Journal) -> Entry:
            values = {name: float(v) for name, v in metrics.items() if v is not None}
            return {"values": values, "step": int(step), "of_model": self._has_model}

        self._put("keep metrics", "metrics", entry)

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set tags; None values are left out."""
        self._put("keep tags", "tags", lambda _: {"values": _texts(tags)})

    def log_artifact(self, path: Path, folder: str | None = None) -> None:
        """Copy a file, or a folder's contents, to the run's artifacts (into `folder` there)."""
        self._put(
            f"keep {Path(path).name}",
            "artifact",
            lambda journal: {"file": journal.keep(Path(path)), "folder": folder},
        )

    def log_model(self, path: Path, *, input_shape: Sequence[int], classes: int) -> None:
        """Log `model.keras`, and tag the run with its digest.

        Args:
            path: the file, or the folder that holds it; never changed in place.
            input_shape: height, width, channels of the uint8 images that it takes.
            classes: logits that it returns an image.
        """

        def entry(journal: Journal) -> Entry:
            file = path / "model.keras" if path.is_dir() else path
            kept = journal.keep(file, link=True)
            self._has_model = True
            shape = {"input_shape": list(input_shape), "classes": classes}
            return {"file": kept, "digest": sha256(file), **shape}

        self._put("keep the model", "model", entry)

    def attach(self, model_digest: str, metrics: Mapping[str, float]) -> None:
        """Log metrics to the trainings, and to the logged models, of one `model.keras`.

        Trainings are found by content, their tag `model_digest`, never by an id kept in a file: a
        stage that DVC restored from its cache has no run, and a model may have been trained twice.
        They are nested under this run. Trainings that wait for `make sync` get theirs then.

        Args:
            model_digest: hex sha256 of the `model.keras`.
            metrics: such as `{"test_accuracy": 0.93}`.
        """

        def entry(_: Journal) -> Entry:
            values = {name: float(value) for name, value in metrics.items()}
            return {"values": values, "step": 0, "model_digest": model_digest}

        self._put("keep test metrics", "attach", entry)

    def propose(
        self, candidates: Sequence[Candidate], *, source: str, data_digest: str, drawings: int
    ) -> None:
        """Put the best candidate forward to the model registry.

        Champion or challenger is decided where the run is delivered, by `champion.decide`; the
        decision is printed at the end of the run, and is its tag `registry_decision`.

        Args:
            candidates: at least one; `champion.choose` takes one of them.
            source: of the images, such as "doodles".
            data_digest: hex sha256 of the data set.
            drawings: validation images behind the candidates' accuracies.
        """

        def entry(_: Journal) -> Entry:
            best = choose(candidates)
            return {
                "name": registered_name(self._tracking.experiment, source, data_digest),
                "label": best.name,
                "model_digest": best.model_digest,
                "accuracy": best.accuracy,
                "drawings": drawings,
                "tags": {
                    "stage": best.stage,
                    "head": best.head,
                    "seed": str(best.seed),
                    "params_digest": best.params_digest,
                },
            }

        self._put("keep the candidate", "candidate", entry)

    def end(self, status: str, is_hurried: bool = False) -> None:
        """End the run as FINISHED, FAILED or KILLED; what is logged later goes nowhere.

        Args:
            status: one of these.
            is_hurried: wait for the rest to be delivered 2 s at most, not half a minute.
        """
        if self._journal is None:
            return
        end = {"kind": "end", "time_ms": now_ms(), "status": status}
        self._put("keep the end of the run", "end", lambda _: {"status": status})
        limit_s = HURRIED_S if is_hurried else END_S
        kept = "it is kept in mlruns/pending, and `make sync` records it"
        journal = self._journal
        try:
            if self._relay is not None:
                outcome = self._relay.finish(end, limit_s)
                if outcome is None:
                    outcome = {"left": [f"not done {limit_s:.0f} s after its end"]}
                    kept = f"it goes on for a minute; what is not done then is {kept[6:]}"
                self._outcome = outcome
        finally:
            self._journal = self._relay = None
            journal.close()  # until here nobody else takes it for one that was left
        self._report(kept if (journal.folder / LINES).exists() else "it is lost")

    def _report(self, kept: str) -> None:
        left, refused = _reasons(self._outcome, "left"), _reasons(self._outcome, "refused")
        if decision := self._outcome.get("decision"):
            note(f"model registry: {decision}")
        if left:
            warn(f"record {self._name} yet", left, self._uri, kept)
        if refused:
            warn(f"record all of {self._name}", refused, self._uri, "the rest is there")

    def _put(self, doing: str, kind: str, entry: Callable[[Journal], Entry]) -> None:
        if self._journal is None:
            return
        try:
            self._journal.append(kind, **entry(self._journal))
        except Exception as error:
            if not self._has_warned:
                warn(doing, error, self._uri, "going on without")
            self._has_warned = True


def _origin() -> dict[str, str]:
    """Tags that say where a run comes from: ours, and those that MLflow's pages show."""
    project, command = nearest_project(), Path(sys.argv[0])
    if command.is_absolute() and command.is_relative_to(project):
        command = command.relative_to(project)
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = str(os.getuid())
    facts = git_facts(project)
    commit = {"mlflow.source.git.commit": facts["git_commit"]} if facts else {}
    return {
        **facts,
        **commit,
        "mlflow.source.name": str(command) if not command.is_absolute() else command.name,
        "mlflow.source.type": "LOCAL",
        "mlflow.user": user,
        "host": socket.gethostname(),
        "pid": str(os.getpid()),
    }


def _texts(values: Mapping[str, Any], none: str | None = None) -> dict[str, str]:
    """Values as MLflow's texts: strings bare (without passwords), the rest as JSON."""
    given = {key: none if value is None else value for key, value in values.items()}
    return {
        key: masked(value) if isinstance(value, str) else json.dumps(value, default=str)
        for key, value in given.items()
        if value is not None
    }


def _status(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        if error.code in (None, 0):
            return "FINISHED"
        return "KILLED" if isinstance(error.code, int) and error.code > 128 else "FAILED"
    return "FAILED" if isinstance(error, Exception) else "KILLED"


def _reasons(outcome: Mapping[str, Any], key: str) -> str:
    """The first reasons of a list, and how many more there are."""
    reasons = list(dict.fromkeys(outcome.get(key) or []))
    more = [f"and {len(reasons) - REASONS} more"] if len(reasons) > REASONS else []
    return "; ".join([*reasons[:REASONS], *more])
