"""Tracked runs in temporary projects: made, looked at, and checked to be recorded once."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from quickspine.files import sha256
from quickspine.params import Params, Tracking, load
from quickspine.params.paths import project_root
from quickspine.tracking import tracked_run
from quickspine.tracking.delivery import deliver
from quickspine.tracking.journal import claim
from quickspine.tracking.mlflow_setup import quiet
from quickspine.tracking.store import Store, open_store

PARAMS = Path(__file__).parents[2] / "params.yaml"
PRELUDE = f"""
import sys, time
from pathlib import Path
from quickspine.params import load
from quickspine.tracking import tracked_run

params = load({str(PARAMS)!r})
quick = params.tracking.model_copy(update={{"system_metrics": False}})
params = params.model_copy(update={{"tracking": quick}})
"""
MODEL = b"not a model, but MLflow does not look inside"


class DeliveredHere:
    """In the place of a relay process (seconds to start): its work, done here at the run's end."""

    def __init__(
        self, folder: Path, tracking: Tracking, root: Path, sampling_s: float | None
    ) -> None:
        self._arguments = (folder, tracking, root)

    def finish(self, end: dict[str, Any], limit_s: float) -> dict[str, Any]:
        folder, tracking, root = self._arguments
        with quiet(), claim(folder) as journal:
            return asdict(deliver(journal, tracking, root))


class NeverDelivered(DeliveredHere):
    """In the place of a relay process that could do nothing."""

    def finish(self, end: dict[str, Any], limit_s: float) -> dict[str, Any]:
        return {"left": ["nobody delivered it"]}


def configured(**changes: Any) -> Params:
    """The project's params with other values for tracking, without system metrics."""
    params = load(PARAMS)
    changes = {"system_metrics": False, **changes}
    return params.model_copy(update={"tracking": params.tracking.model_copy(update=changes)})


def client(**changes: Any) -> Any:
    """An MlflowClient of the current project's store."""
    with quiet():
        return open_store(configured(**changes).tracking, project_root()).client


def runs(**changes: Any) -> list[Any]:
    """All runs of the experiment but the deleted ones."""
    with quiet():
        store = open_store(configured(**changes).tracking, project_root())
    return list(store.client.search_runs([store.experiment_id]))


def only_run(**changes: Any) -> Any:
    """The one run that there is."""
    (run,) = runs(**changes)
    return run


def history(run: Any, metric: str, **changes: Any) -> list[tuple[int, float]]:
    """Steps and values of a metric."""
    points = client(**changes).get_metric_history(run.info.run_id, metric)
    return [(m.step, m.value) for m in points]


def journals(folder: Path) -> list[Path]:
    """The journals that wait in a project."""
    place = folder / "mlruns" / "pending"
    return sorted(p for p in place.iterdir() if p.name[0] != ".") if place.is_dir() else []


def python(
    program: str, folder: Path, arguments: Sequence[str] = (), **more: Any
) -> subprocess.Popen[str]:
    """Another process, with `params` and `tracked_run` at hand."""
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + program, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def wait_for(what: Callable[[], object], seconds: float = 60) -> None:
    """Until something is so."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def closed_port() -> str:
    """The URL of a server that is down."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def work(params: Params, folder: Path) -> list[float]:
    """A training that logs all there is to log; its outputs lie in `folder` before that."""
    losses = []
    plots = folder / "outputs" / "plots"
    plots.mkdir(parents=True)
    with tracked_run(
        params,
        stage="train",
        head="spinal",
        seed=1,
        sections=("train",),
        data_digest="d" * 64,
        dataset={"train": 9600},
    ) as run:
        for epoch in range(3):
            losses.append(1.0 / (1 + epoch))
            run.log_epoch(epoch, {"loss": losses[-1], "odd": float("nan")})
        (plots / "a.svg").write_text("<svg/>")
        (folder / "outputs" / "history.csv").write_text("epoch,loss\n")
        (folder / "outputs" / "model.keras").write_bytes(MODEL)
        run.log_artifact(folder / "outputs" / "history.csv")
        run.log_artifact(plots, "plots")
        run.log_model(folder / "outputs", input_shape=(28, 28, 1), classes=3)
        run.log_metrics({"parameters": 12})
        run.set_tags({"late": "yes"})
    return losses


def assert_worked(losses: list[float], folder: Path) -> None:
    """The work went through to its end and left its outputs."""
    assert losses == [1.0, 1 / 2, 1 / 3]
    outputs = [p for p in sorted((folder / "outputs").rglob("*")) if p.is_file()]
    assert [p.name for p in outputs] == ["history.csv", "model.keras", "a.svg"]
    assert outputs[1].read_bytes() == MODEL


def assert_recorded_once(folder: Path, status: str = "FINISHED", **changes: Any) -> Any:
    """One run holds all that `work` logged, nothing of it twice; returns it."""
    run = only_run(**changes)
    store = client(**changes)
    assert (run.info.run_name, run.info.status) == ("train-spinal-1", status)
    assert 0 < run.info.start_time <= run.info.end_time
    params = configured()
    assert run.data.params["train.learning_rate"] == "0.003"
    assert len(run.data.params) == len([k for k in params.flat() if k.startswith("train.")])
    assert run.data.tags["late"] == "yes"
    assert run.data.tags["model_digest"] == sha256(folder / "outputs" / "model.keras")
    assert history(run, "loss", **changes) == [(0, 1.0), (1, 1 / 2), (2, 1 / 3)]
    assert len(history(run, "odd", **changes)) == 3
    assert history(run, "parameters", **changes) == [(0, 12.0)]
    (dataset,) = run.inputs.dataset_inputs
    assert json.loads(dataset.dataset.profile) == {"train": 9600}
    (logged,) = run.outputs.model_outputs
    (model,) = store.search_logged_models([run.info.experiment_id])
    assert (model.model_id, str(model.status)) == (logged.model_id, "READY")
    assert [(m.key, m.value) for m in model.metrics] == [("parameters", 12.0)]
    assert [(m.dataset_name, m.dataset_digest) for m in model.metrics] == [("doodles", "d" * 12)]
    with quiet():
        names = [a.path for a in store.list_artifacts(run.info.run_id)]
        plots = [a.path for a in store.list_artifacts(run.info.run_id, "plots")]
        import mlflow

        mlflow.set_tracking_uri(store.tracking_uri)
        kept = mlflow.artifacts.download_artifacts(f"models:/{model.model_id}")
    assert sorted(names) == ["environment.json", "history.csv", "plots"]
    assert plots == ["plots/a.svg"]
    assert (Path(kept) / "artifacts" / "model.keras").read_bytes() == MODEL
    return run


class KilledError(BaseException):
    """Stands for a kill: nothing on the way catches it, nothing is tidied up."""


class Fragile:
    """An MlflowClient that counts calls, and raises after the n-th was carried out."""

    def __init__(self, real: Any, calls: list[str], at: int, error: BaseException) -> None:
        self._real, self._calls, self._at, self._error = real, calls, at, error

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._real, name)
        if not callable(attribute) or name.startswith("_"):
            return attribute

        def call(*arguments: Any, **more: Any) -> Any:
            self._calls.append(name)
            answer = attribute(*arguments, **more)
            if len(self._calls) == self._at:
                raise self._error
            return answer

        return call


def failing_store(patch: pytest.MonkeyPatch, at: int, error: BaseException) -> list[str]:
    """Let the n-th call of a delivery to the store raise after it; returns the growing calls."""
    calls: list[str] = []

    def opened(*arguments: Any) -> Store:
        store = open_store(*arguments)
        return Store(Fragile(store.client, calls, at, error), store.experiment_id, store.uri)

    patch.setattr("quickspine.tracking.recorder.open_store", opened)
    return calls
