"""dvc.lock in the repository is that of the code and params beside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.func.project import ROOT, Project

# Data and models are not in a fresh clone; these are.
IN_GIT = ("src/", "pipeline/", "inputs/", "params.yaml")


def changed(project: Project) -> dict[str, list[str]]:
    """What git holds and differs from dvc.lock, by stage."""
    status = json.loads(project.run("dvc", "status", "--json").stdout)
    found: dict[str, list[str]] = {}
    for stage, reasons in status.items():
        for reason in reasons:
            if isinstance(reason, str):  # "changed command"
                found.setdefault(stage, []).append(reason)
                continue
            names = reason.get("changed deps", {})
            found.setdefault(stage, []).extend(n for n in names if n.startswith(IN_GIT))
    return {stage: names for stage, names in found.items() if names}


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
def test_a_fresh_clone_is_stale_in_nothing_that_git_holds(tmp_path: Path) -> None:
    """After a change to code: `make repro`, and commit dvc.lock with it."""
    clone = Project(tmp_path / "clone")
    Project(tmp_path).run("git", "clone", "-q", str(ROOT), str(clone.path))
    assert changed(clone) == {}, "run `make repro` and commit dvc.lock"
    (clone.path / "src/quickspine/nets/heads/spinal.py").write_text("# other\n")
    assert "train@spinal-1" in changed(clone)
    assert "train@dense-1" not in changed(clone)
