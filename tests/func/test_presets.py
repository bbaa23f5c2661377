"""`make preset` as a user meets it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.func.project import ROOT, Project, new

NAMES = sorted(path.stem for path in (ROOT / "presets").glob("*.yaml"))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that has run nothing, with the params as they come, set up by this Python."""
    made = new(tmp_path_factory.mktemp("presets") / "a project")
    shutil.copy(ROOT / "params.yaml", made.path)
    made.commit()
    ready = made.path / ".venv/ready"  # younger than the locks: make has nothing to install
    ready.parent.mkdir()
    ready.touch()
    return made


@pytest.mark.parametrize("name", NAMES)
def test_what_a_preset_leaves_can_be_planned(project: Project, name: str) -> None:
    told = project.run("make", "preset", f"NAME={name}").stdout
    assert f"presets/{name}.yaml" in told
    planned = project.run("make", "plan").stdout
    values = (project.path / "params.yaml").read_text(encoding="utf-8")
    seeds = 1 if "seeds: [1] " in values else 3
    for stage in ("train", "finetune"):
        for head in ("dense", "spinal"):
            for seed in range(1, seeds + 1):
                assert f"{stage}@{head}-{seed}:" in planned
    assert len(re.findall(r"(?m)^(?:train|finetune)@", planned)) == 2 * 2 * seeds
    assert "make repro runs every stage" in planned  # DVC cannot try what has no input yet


def test_default_comes_back_as_committed(project: Project) -> None:
    project.run("make", "preset", "NAME=quickdraw345")
    project.run("make", "preset", "NAME=default")
    assert project.run("git", "status", "--porcelain").stdout == ""


@pytest.mark.parametrize("name", ["quik", "../params", "a b", "`id`"])
def test_an_unknown_name_is_refused(project: Project, name: str) -> None:
    before = (project.path / "params.yaml").read_bytes()
    done = project.run("make", "preset", f"NAME={name}", check=False)
    assert done.returncode == 2
    assert "no such preset" in done.stderr
    assert all(known in done.stderr for known in NAMES)
    assert "Traceback" not in done.stderr
    assert (project.path / "params.yaml").read_bytes() == before


def test_without_a_name_they_are_listed(project: Project) -> None:
    listed = project.run("make", "preset").stdout
    assert [line.split()[0] for line in listed.splitlines()] == NAMES
    assert "preset" in project.run("make", "help").stdout


def test_params_that_would_be_wrong_are_not_written(project: Project) -> None:
    wrong = Path(project.path, "presets/wrong.yaml")
    wrong.write_text("# Wrong.\ntrain:\n  epochs: none\n", encoding="utf-8")
    before = (project.path / "params.yaml").read_bytes()
    try:
        done = project.run("make", "preset", "NAME=wrong", check=False)
    finally:
        wrong.unlink()
    assert done.returncode == 2
    assert "train.epochs" in done.stderr
    assert (project.path / "params.yaml").read_bytes() == before
