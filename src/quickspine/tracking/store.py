"""Where the runs are kept: the project's own SQLite store, or the server of `tracking.uri`."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quickspine.params import Tracking
from quickspine.tracking import sqlite
from quickspine.tracking.quiet import load

FOLDER = "mlruns"
SQLITE = "sqlite:///"


def project_root() -> Path:
    """The folder that holds `mlruns/`: DVC's root, else the current folder.

    `dvc exp run --temp` runs in a temporary copy of the project; its DVC_ROOT names the original.
    """
    return Path(os.environ.get("DVC_ROOT") or ".").resolve()


def store_uri(tracking: Tracking, root: Path | None = None) -> str:
    """The tracking URI, without importing MLflow; it may hold a password.

    Only `tracking.uri` counts: an inherited MLFLOW_TRACKING_URI does not, so that a run never
    lands in a store that params.yaml does not name. A relative SQLite path starts at `root`.

    Args:
        tracking: the section of the params.
        root: the project; `project_root()` where None.
    """
    root = (root or project_root()).resolve()
    if tracking.uri is None:
        return f"{SQLITE}{root / FOLDER / 'mlflow.db'}"
    if tracking.uri.startswith(SQLITE):
        return f"{SQLITE}{root / tracking.uri.removeprefix(SQLITE)}"
    return tracking.uri


@dataclass(frozen=True)
class Store:
    """An open store and the experiment in it."""

    client: Any  # mlflow.MlflowClient
    experiment_id: str
    uri: str


def open_store(tracking: Tracking, root: Path | None = None) -> Store:
    """Open the store, making it and its experiment where they are missing.

    Raises:
        Exception: whatever MLflow, SQLite or the network have to say; callers turn it to a warning.
    """
    root = (root or project_root()).resolve()
    uri = store_uri(tracking, root)
    artifacts = (root / FOLDER / "artifacts").as_uri()
    mlflow = load()
    place: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
    if uri.startswith(SQLITE):
        place = sqlite.prepared(Path(uri.removeprefix(SQLITE)), artifacts)
    served = uri.startswith(("http://", "https://"))  # then the server knows where artifacts go
    with place:  # first of all: a client opens, and would make, its database at once
        client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
        if uri.startswith(SQLITE):
            # MLflow keeps connections for ever, to a file that may have been deleted since.
            client._tracking_client.store.engine.dispose()
        experiment_id = _experiment(client, tracking.experiment, None if served else artifacts)
    return Store(client, experiment_id, uri)


def _experiment(client: Any, name: str, artifacts: str | None) -> str:
    """The id of the experiment `name`, made where it is missing."""
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, artifact_location=artifacts))
        except Exception:  # another machine was first, or this fails again in the next line
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage != "active":
        raise LookupError(
            f"the experiment {name!r} was deleted; restore it, or change tracking.experiment"
        )
    return str(found.experiment_id)
