"""One finished pipeline for all functional tests: each works on its own copy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.func.project import Project, new


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project after its first `dvc repro`; read it, do not change it."""
    project = new(tmp_path_factory.mktemp("pipeline") / "project")
    project.repro()
    project.commit()
    return project


@pytest.fixture
def copied(finished: Project, tmp_path: Path) -> Callable[[], Project]:
    """Makes copies of the finished project, to be changed."""
    return lambda: finished.copy(tmp_path / "project")
