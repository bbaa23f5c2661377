"""Where runs are kept: the project's own SQLite store, or the store that `tracking.uri` names."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from quickspine.files import PARTIAL, whole_file
from quickspine.params import Tracking
from quickspine.params.paths import project_root
from quickspine.tracking.mlflow_setup import load

FOLDER = "mlruns"
SQLITE = "sqlite:///"
WAIT_S = 60.0  # making a store takes seconds
LOCKED_S = 5.0  # how long a writer may hold the database before it counts as locked

# Every column in which MLflow 3.17 keeps the absolute path of an artifact.
LOCATIONS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def store_uri(tracking: Tracking, root: Path | None = None) -> str:
    """The tracking URI, without importing MLflow; it may hold a password.

    Only `tracking.uri` counts: an inherited MLFLOW_TRACKING_URI does not, so that a run never
    lands in a store that params.yaml does not name. A relative SQLite path starts at `root`.

    Args:
        tracking: the section of the params.
        root: the project; `project_root()` where None.
    """
    root = (root or project_root()).resolve()
    if tracking.uri is not None and not tracking.uri.startswith(SQLITE):
        return tracking.uri
    named = FOLDER + "/mlflow.db" if tracking.uri is None else tracking.uri.removeprefix(SQLITE)
    path = str(root / Path(named).expanduser())
    if set(path) & {"?", "%"}:  # they would mean something in a URI: leave them out
        path = os.path.relpath(path)
    return SQLITE + path


@dataclass(frozen=True)
class Store:
    """An open store and the experiment in it."""

    client: Any  # mlflow.MlflowClient
    experiment_id: str
    uri: str

    @property
    def database(self) -> Path | None:
        """The file of an SQLite store."""
        own = self.uri.startswith(SQLITE)
        return Path(self.uri.removeprefix(SQLITE)).absolute() if own else None


def open_store(tracking: Tracking, root: Path | None = None) -> Store:
    """Open the store; create it and its experiment where they are missing.

    Raises:
        Exception: whatever MLflow, SQLite or the network raise; callers turn it into a warning.
    """
    root = (root or project_root()).resolve()
    uri = store_uri(tracking, root)
    artifacts = (root / FOLDER / "artifacts").as_uri()
    mlflow = load()
    # Every client of a database makes its default folder for artifacts: not below the current one.
    os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"] = artifacts
    ready: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
    if uri.startswith(SQLITE):
        ready = _prepared(Path(uri.removeprefix(SQLITE)).absolute(), root, artifacts)
    on_server = uri.startswith(("http://", "https://"))  # which knows where artifacts go
    with ready:  # before the client, which would create the database at once
        client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
        if uri.startswith(SQLITE):
            # MLflow keeps connections for ever, to a file that may have been deleted since.
            client._tracking_client.store.engine.dispose()
        experiment_id = _experiment(client, tracking.experiment, None if on_server else artifacts)
    return Store(client, experiment_id, uri)


def _experiment(client: Any, name: str, artifacts: str | None) -> str:
    """The id of the experiment `name`, created where it is missing."""
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        # Where another machine is a moment faster this fails, and the next try finds its own.
        return str(client.create_experiment(name, artifact_location=artifacts))
    if experiment.lifecycle_stage != "active":
        raise LookupError(
            f"the experiment {name!r} was deleted; restore it, or change tracking.experiment"
        )
    return str(experiment.experiment_id)


@contextlib.contextmanager
def _prepared(database: Path, root: Path, artifacts: str) -> Iterator[None]:
    """Hold the lock of a database that exists and can be written.

    MLflow's migrations crash when several processes open a new database at once, and one killed
    in between leaves it unusable: so it is made beside its place and renamed, under a lock.
    A damaged or locked database is noticed here in seconds; MLflow itself retries for minutes.

    Raises:
        OSError, sqlite3.Error: where it can neither be created nor written.
    """
    database.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(database.with_suffix(".lock"), timeout=WAIT_S):
        if not database.exists():
            _create(database, artifacts)
        with contextlib.closing(
            sqlite3.connect(database, timeout=LOCKED_S, isolation_level=None)
        ) as connection:
            connection.execute("BEGIN IMMEDIATE")  # raises unless it can be written
            if database.is_relative_to(root):  # it moves with the project
                _rehome(connection, artifacts)
            connection.execute("COMMIT")
        yield


def _create(database: Path, artifacts: str) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    for left in database.parent.glob(f"{PARTIAL}{database.name}-*"):
        left.unlink()  # by a killed process: the lock is ours
    with whole_file(database) as partial:
        store = SqlAlchemyStore(SQLITE + os.path.relpath(partial), artifacts)
        store.engine.dispose()


def _rehome(connection: sqlite3.Connection, artifacts: str) -> None:
    """After the project was moved or copied, let the runs name the artifacts that moved along.

    Any experiment of the store tells where the project was: its artifacts lay in `mlruns/`.
    """
    rows = connection.execute("SELECT artifact_location FROM experiments").fetchall()
    old_places = {re.sub(r"/\d+$", "", str(location)) for (location,) in rows} - {artifacts}
    for old in old_places:
        if not (old.startswith("file:") and old.endswith(f"/{FOLDER}/artifacts")):
            continue
        for table, column in LOCATIONS:
            connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608 - constants
                f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                (artifacts, len(old) + 1, old, len(old) + 1, f"{old}/"),
            )
