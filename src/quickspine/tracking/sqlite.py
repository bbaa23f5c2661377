"""The SQLite store of a project: made whole under a lock, checked fast, movable."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

from quickspine.files import PARTIAL, whole_file

WAIT_S = 60.0  # making a store takes seconds
LOCKED_S = 5.0  # how long a writer may hold the database before it counts as locked

# Every column in which MLflow 3.17 keeps the absolute place of an artifact.
PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


@contextlib.contextmanager
def prepared(database: Path, artifacts: str) -> Iterator[None]:
    """Hold the lock of a database that exists and can be written.

    MLflow's migrations crash when several processes open a new database at once, and one killed
    in between leaves it unusable: so it is made beside its place and renamed, under a lock.
    A damaged or locked database is found here in seconds; MLflow itself retries for minutes.

    Args:
        database: the file.
        artifacts: the `file://` URI of the folder for artifacts.

    Raises:
        OSError, sqlite3.Error: where it can neither be made nor written.
    """
    database.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(database.with_suffix(".lock"), timeout=WAIT_S):
        if not database.exists():
            _make(database, artifacts)
        with contextlib.closing(
            sqlite3.connect(database, timeout=LOCKED_S, isolation_level=None)
        ) as connection:
            connection.execute("BEGIN IMMEDIATE")  # raises unless it can be written
            _rehome(connection, artifacts)
            connection.execute("COMMIT")
        yield


def _make(database: Path, artifacts: str) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    for left in database.parent.glob(f"{PARTIAL}{database.name}-*"):
        left.unlink()  # by a killed process: the lock is ours
    with whole_file(database) as partial:
        store = SqlAlchemyStore(f"sqlite:///{partial}", artifacts)
        store.engine.dispose()


def _rehome(connection: sqlite3.Connection, artifacts: str) -> None:
    """Where the project was moved or copied, point the runs at the artifacts that moved along.

    The default experiment, made with the store, tells where the store was born.
    """
    (row,) = connection.execute(
        "SELECT max(artifact_location) FROM experiments WHERE experiment_id = 0"
    ).fetchall()
    born = str(row[0] or "").removesuffix("/0")
    ours = born.startswith("file:") and born.endswith("/mlruns/artifacts")
    if not ours or born == artifacts or not artifacts.startswith("file:"):
        return
    for table, column in PLACES:
        connection.execute(
            f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608 - constants
            f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
            (artifacts, len(born) + 1, born, len(born) + 1, f"{born}/"),
        )
