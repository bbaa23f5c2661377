"""One finished pipeline for all functional tests: each works on its own copy."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from quickspine.tracking.mlflow_setup import quiet
from quickspine.tracking.store import open_store
from tests.func.project import Project, new
from tests.func.tracked import DeliveredHere, NeverDelivered, configured
from tests.func.tracking_server import mlflow_server


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project after its first `dvc repro`; read it, do not change it.

    It takes a minute, so the first process of the tests that needs it makes it for all of them;
    each reads a copy of its own.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    shared = Path(os.environ.get("FINISHED_PIPELINE", shared))  # kept for the next run of tests
    whole = shared / "finished"
    with FileLock(shared / "finished.lock"):
        if not whole.exists():
            project = new(tmp_path_factory.mktemp("pipeline") / "project")
            project.repro()
            project.commit()
            shutil.move(project.path, whole)
    return Project(whole).copy(tmp_path_factory.mktemp("finished") / "project")


@pytest.fixture
def copied(finished: Project, tmp_path: Path) -> Callable[[], Project]:
    """Makes copies of the finished project, to be changed."""
    return lambda: finished.copy(tmp_path / "project")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with an empty store: making one takes seconds, copying it nothing."""
    folder = tmp_path_factory.mktemp("template")
    with quiet():
        open_store(configured().tracking, folder)
    return folder


@pytest.fixture(scope="session")
def served(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a real tracking server, with a store of its own."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(template / "mlruns" / "mlflow.db", folder)
    with mlflow_server(folder) as port:
        yield port


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project without a store, with a space in its name; the current folder."""
    folder = tmp_path / "a project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return folder


@pytest.fixture
def project(empty: Path, template: Path) -> Path:
    """A project with a store."""
    (empty / "mlruns").mkdir()
    shutil.copy(template / "mlruns" / "mlflow.db", empty / "mlruns")
    return empty


@pytest.fixture
def delivered_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are delivered by this process, at their end: a relay takes seconds to start."""
    monkeypatch.setattr("quickspine.tracking.run.Relay", DeliveredHere)


@pytest.fixture
def never_delivered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are kept only."""
    monkeypatch.setattr("quickspine.tracking.run.Relay", NeverDelivered)


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of three classes with a head of ours, untrained."""
    import keras

    from quickspine.nets.backbones.layers.head_builder import build_head

    layers = [
        keras.layers.Rescaling(1 / 255),
        keras.layers.Flatten(),
        build_head("spinal", configured().train, 3, seed=1, initialisation="keras"),
    ]
    model = keras.Sequential([keras.layers.Input((28, 28, 1), dtype="uint8"), *layers])
    folder = tmp_path_factory.mktemp("model")
    with quiet():  # Keras meets a deprecation of NumPy's while saving
        model.save(folder / "model.keras")
    return folder / "model.keras"
