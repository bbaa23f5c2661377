"""One tracked run: a context manager that never stands in the way of the work inside."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from quickspine.files import sha256
from quickspine.params import Params, Tracking
from quickspine.tracking.environment import environment, git_facts
from quickspine.tracking.model import log_model
from quickspine.tracking.quiet import masked, quiet, warn
from quickspine.tracking.stale import identity, sweep_store
from quickspine.tracking.store import Store, open_store, store_uri

SAMPLING_S = 5.0  # seconds between two samples of the system metrics
DATASET_DIGEST = 36  # characters that MLflow keeps of a dataset's digest
PARAMS_A_CALL = 100  # MLflow's limit

T = TypeVar("T")


class TrackedRun:
    """A run that is being tracked, or, after a fault or where tracking is off, is not.

    No method raises; the first fault prints one warning, and every later call does nothing.
    """

    def __init__(self, tracking: Tracking, root: Path | None = None) -> None:
        self._tracking = tracking
        self._root = root
        self._uri = store_uri(tracking, root)
        self._store: Store | None = None
        self._monitor: Any = None
        self._name = ""
        self._params: dict[str, str] = {}
        self.run_id: str | None = None  # None where untracked from the start
        self.model_id: str | None = None  # of the logged model

    @property
    def tracked(self) -> bool:
        """Whether what is logged now arrives."""
        return self._store is not None

    def log_epoch(self, epoch: int, metrics: Mapping[str, float | None]) -> None:
        """Log the metrics of an epoch (its number is the step); None values are left out."""
        self.log_metrics(metrics, step=epoch)

    def log_metrics(self, metrics: Mapping[str, float | None], step: int = 0) -> None:
        """Log metrics; to the logged model too, once there is one."""

        def call(store: Store) -> None:
            from mlflow.entities import Metric

            now = int(time.time() * 1000)
            given = {name: float(v) for name, v in metrics.items() if v is not None}
            store.client.log_batch(
                self.run_id,
                metrics=[
                    Metric(name, value, now, step, model_id=self.model_id)
                    for name, value in given.items()
                ],
                synchronous=True,
            )

        self._attempt("log metrics", call)

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set tags; None values are left out."""

        def call(store: Store) -> None:
            from mlflow.entities import RunTag

            pairs = [RunTag(key, value) for key, value in _texts(tags).items()]
            store.client.log_batch(self.run_id, tags=pairs, synchronous=True)

        self._attempt("set tags", call)

    def log_artifact(self, path: Path, folder: str | None = None) -> None:
        """Copy a file, or a folder's contents, to the run's artifacts (into `folder` there)."""

        def call(store: Store) -> None:
            log = store.client.log_artifacts if path.is_dir() else store.client.log_artifact
            log(self.run_id, str(path), folder)

        self._attempt(f"log {path.name}", call)

    def log_model(self, path: Path, *, input_shape: Sequence[int], classes: int) -> str | None:
        """Log `model.keras`, and tag the run with its digest.

        Args:
            path: the file, or the folder that holds it.
            input_shape: height, width, channels of the uint8 images that it takes.
            classes: logits that it returns an image.

        Returns:
            The model's URI for `mlflow.pyfunc.load_model`; None where untracked.
        """

        def call(store: Store) -> str:
            file = path / "model.keras" if path.is_dir() else path
            digest = sha256(file)
            self.model_id = log_model(
                store,
                str(self.run_id),
                file,
                name=self._name,
                input_shape=input_shape,
                classes=classes,
                params=self._params,
                tags={"model_digest": digest},
            )
            store.client.set_tag(self.run_id, "model_digest", digest)
            return f"models:/{self.model_id}"

        return self._attempt("log the model", call)

    def finish(self, model_digest: str | None = None) -> None:
        """End the run well; the end of the `with` block does the same."""
        self.set_tags({"model_digest": model_digest})
        self._end("FINISHED")

    def _attempt(self, doing: str, call: Callable[[Store], T]) -> T | None:
        if self._store is None:
            return None
        try:
            with quiet():
                return call(self._store)
        except Exception as error:
            self._give_up(doing, error)
            return None

    def _give_up(self, doing: str, error: Exception) -> None:
        warn(doing, error, self._uri, "going on untracked")
        self._store = None
        if self._monitor is not None:  # its thread ends by itself; waiting could take as long
            self._monitor._shutdown_event.set()  # as the fault did
            self._monitor = None

    def _start(self, name: str, params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        self._name, self._params = name, dict(params)
        try:
            with quiet():
                store = open_store(self._tracking, self._root)
                from mlflow.entities import Param

                sweep_store(store)
                run = store.client.create_run(
                    store.experiment_id, run_name=name, tags={**identity(), **tags}
                )
                self.run_id, self._store = run.info.run_id, store
                pairs = [Param(key, value) for key, value in params.items()]
                for first in range(0, len(pairs), PARAMS_A_CALL):
                    chunk = pairs[first : first + PARAMS_A_CALL]
                    store.client.log_batch(self.run_id, params=chunk, synchronous=True)
                text = json.dumps(environment(), indent=2)
                store.client.log_text(self.run_id, text, "environment.json")
                if self._tracking.system_metrics:
                    self._watch()
        except Exception as error:
            self._give_up("start a run", error)

    def _watch(self) -> None:
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        self._monitor = SystemMetricsMonitor(
            self.run_id, sampling_interval=SAMPLING_S, tracking_uri=self._uri
        )
        self._monitor.start()

    def _log_dataset(self, name: str, digest: str, facts: Mapping[str, Any]) -> None:
        def call(store: Store) -> None:
            from mlflow.entities import Dataset, DatasetInput, InputTag

            dataset = Dataset(
                name=name,
                digest=digest[:DATASET_DIGEST],
                source_type="quickspine",
                source=json.dumps({"source": name}),
                profile=json.dumps(facts, default=str),
            )
            tag = InputTag("mlflow.data.context", "training")
            store.client.log_inputs(self.run_id, [DatasetInput(dataset, [tag])])

        self._attempt("log the data set", call)

    def _end(self, status: str) -> None:
        def call(store: Store) -> None:
            monitor, self._monitor = self._monitor, None
            if monitor is not None:
                monitor.finish()
            store.client.set_terminated(self.run_id, status=status)

        self._attempt("end the run", call)
        self._store = None


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
    root: Path | None = None,
) -> Iterator[TrackedRun]:
    """Track what happens in the block as one run, named after stage, head and seed.

    An exception in the block ends the run as FAILED; KeyboardInterrupt (Ctrl-C, and in a stage
    SIGTERM too) and `sys.exit` with a signal's code as KILLED; each goes on to the caller.

    Args:
        params: the whole; `params.tracking` says where to.
        stage: such as "train".
        head: such as "spinal".
        seed: of the training.
        sections: of the params that the stage depends on; all, where empty. Never `tracking`.
        device: what it trains on, such as "cpu".
        data_digest: hex sha256 of the data set.
        dataset: facts about the data set to show with it, such as counts.
        synthetic: whether the drawings were made by a program.
        tags: further ones; None values are left out.
        root: the project; `project_root()` where None.

    Yields:
        The run; with `tracking.enabled: false`, one that does nothing.
    """
    run = TrackedRun(params.tracking, root)
    if not params.tracking.enabled:
        yield run
        return
    chosen = [name for name in sections or type(params).model_fields if name != "tracking"]
    flat = {k: v for k, v in params.flat().items() if k.partition(".")[0] in chosen}
    named = {"stage": stage, "head": head, "seed": seed}
    facts = {
        **named,
        "params_digest": params.digest(*chosen),
        "data_digest": data_digest,
        "dvc_experiment": os.environ.get("DVC_EXP_NAME"),
        "device": device,
        "source": params.data.source,
        "synthetic": synthetic,
        **git_facts(),
        **(tags or {}),
    }
    name = "-".join(str(part) for part in named.values() if part is not None)
    try:
        run._start(name, _texts(flat, none="null"), _texts(facts))
        if data_digest is not None:
            run._log_dataset(params.data.source, data_digest, dataset or {})
        yield run
    except BaseException as error:
        run._end(_status(error))
        raise
    run._end("FINISHED")


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
        signalled = isinstance(error.code, int) and error.code > 128
        return "KILLED" if signalled else "FAILED"
    return "FAILED" if isinstance(error, Exception) else "KILLED"
