"""Where paths in params.yaml lead: from the project's root, `~` expanded, in every stage alike."""

from __future__ import annotations

import os
from pathlib import Path

COPIES = (".dvc", "tmp", "exps")  # there DVC copies the project for experiments


def nearest_project() -> Path:
    """The nearest folder from the working directory upward with dvc.yaml or .dvc; else that."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "dvc.yaml").is_file() or (folder / ".dvc").is_dir():
            return folder
    return here


def project_root() -> Path:
    """The nearest project, or the one that it is a temporary copy of.

    DVC_ROOT is not read: it may be that of a shell, or of an outer project.
    """
    project = nearest_project()
    for copy in (project, *project.parents):
        copies = copy.parent.parent if copy.parent.name == "standalone" else copy.parent
        if copies.parts[-3:] == COPIES:
            original = copies.parents[2]
            below = original / project.relative_to(copy)  # dvc.yaml may be deeper than .dvc
            return below if below.is_dir() else original
    return project


def resolve_path(text: str) -> Path:
    """The absolute path that a value of params.yaml means; whether it exists is not asked."""
    return project_root() / os.path.expanduser(text)  # noqa: PTH111 - Path's raises without a home
