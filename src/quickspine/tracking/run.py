"""One tracked run: what can be logged to it, none of which stands in the way of the work."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from quickspine.files import sha256
from quickspine.params import Tracking
from quickspine.tracking.environment import environment
from quickspine.tracking.facts import dataset_input, texts
from quickspine.tracking.model import log_model
from quickspine.tracking.quiet import quiet, warn
from quickspine.tracking.stale import identity, sweep_store
from quickspine.tracking.store import Store, open_store, store_uri

SAMPLING_S = 5.0  # seconds between two samples of the system metrics
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

    def start(self, name: str, params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Open the store, close what kills left there, and begin the run."""
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

    def log_dataset(self, name: str, digest: str, facts: Mapping[str, Any]) -> None:
        """Show a data set, its digest and facts about it with the run."""

        def call(store: Store) -> None:
            store.client.log_inputs(self.run_id, [dataset_input(name, digest, facts)])

        self._attempt("log the data set", call)

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

            pairs = [RunTag(key, value) for key, value in texts(tags).items()]
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
        self.end("FINISHED")

    def end(self, status: str) -> None:
        """End the run as FINISHED, FAILED or KILLED; what is logged later goes nowhere."""

        def call(store: Store) -> None:
            monitor, self._monitor = self._monitor, None
            if monitor is not None:
                monitor.finish()
            store.client.set_terminated(self.run_id, status=status)

        self._attempt("end the run", call)
        self._store = None

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

    def _watch(self) -> None:
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        self._monitor = SystemMetricsMonitor(
            self.run_id, sampling_interval=SAMPLING_S, tracking_uri=self._uri
        )
        self._monitor.start()
