"""`make preset` as a user meets it, and that DVC can run what every preset leaves."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from dvc.dependency.param import ParamsDependency
from dvc.repo import Repo

from quickspine import presets
from quickspine.params import Params, load
from tests.func.project import ROOT, Project, new

NAMES = sorted(path.stem for path in (ROOT / "presets").glob("*.yaml"))
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that has run nothing, with the params as they come, set up by this Python."""
    made = new(tmp_path_factory.mktemp("presets") / "a project")
    shutil.copy(ROOT / "params.yaml", made.path)
    made.commit()
    ready = made.path / ".venv/ready"  # younger than the locks: make has nothing to install
    ready.parent.mkdir()
    ready.write_text(f"{made.path}\n", encoding="utf-8")
    return made


def trainings(params: Params) -> set[str]:
    return {
        f"{stage}@{head}-{seed}"
        for stage in ("train", "finetune")
        for head in params.heads
        for seed in params.seeds
    }


def test_a_preset_is_merged_planned_and_taken_back(project: Project) -> None:
    printed = project.run("make", "preset", "NAME=mnist5k-cnn").stdout
    assert "presets/mnist5k-cnn.yaml" in printed
    planned = project.run("make", "plan").stdout
    stages = {line.split()[0] for line in planned.splitlines() if "@" in line.split()[0]}
    assert stages == trainings(load(project.path / "params.yaml"))
    project.run("make", "preset", "NAME=default")
    assert project.run("git", "status", "--porcelain").stdout == ""


@pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # DVC's own
def test_the_graph_of_every_preset_is_one_that_dvc_can_run(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `make plan` asks DVC, without a process for each of some thirty presets."""
    monkeypatch.chdir(project.path)
    try:
        for name in NAMES:
            presets.apply(name, Path("params.yaml"))
            params = load("params.yaml")
            with Repo(str(project.path)) as repo:
                names = {stage.addressing for stage in repo.index.stages}
                repo.index.check_graph()
                keys = {key for stage in repo.index.stages for key in params_of(stage)}
            assert {stage for stage in names if "@" in stage} == trainings(params)
            flat = params.flat()
            assert keys
            for key in keys:  # that a stage depends on
                assert any(known == key or known.startswith(f"{key}.") for known in flat), key
    finally:
        presets.apply("default", Path("params.yaml"))


def params_of(stage: Any) -> set[str]:
    return {key for dep in stage.deps if isinstance(dep, ParamsDependency) for key in dep.params}


@pytest.mark.parametrize("name", ["../params", "a b", "`id`"])
def test_an_odd_name_is_refused(project: Project, name: str) -> None:
    before = (project.path / "params.yaml").read_bytes()
    done = project.run("make", "preset", f"NAME={name}", check=False)
    assert done.returncode == 2
    assert "no such preset" in done.stderr
    assert "Traceback" not in done.stderr
    assert (project.path / "params.yaml").read_bytes() == before


def test_a_name_from_the_environment_does_not_count(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """WSL sets NAME."""
    monkeypatch.setenv("NAME", "quick")
    listed = project.run("make", "preset").stdout
    assert [line.split()[0] for line in listed.splitlines()] == NAMES
