"""`make preset` as a user meets it."""

from __future__ import annotations

import re
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


@pytest.mark.parametrize("name", ["default", "quick", "mnist5k-cnn", "paper-cifar10-resnet18"])
def test_what_a_preset_leaves_can_be_planned(project: Project, name: str) -> None:
    told = project.run("make", "preset", f"NAME={name}").stdout
    assert f"presets/{name}.yaml" in told
    planned = project.run("make", "plan").stdout
    params = load(project.path / "params.yaml")
    for stage in expected(params):
        assert f"{stage}:" in planned
    assert len(re.findall(r"(?m)^(?:train|finetune)@", planned)) == len(expected(params))
    assert "make repro runs every stage" in planned  # DVC cannot try what has no input yet


def expected(params: Params) -> set[str]:
    return {
        f"{stage}@{head}-{seed}"
        for stage in ("train", "finetune")
        for head in params.heads
        for seed in params.seeds
    }


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
            assert names == expected(params) | {"fetch", "preprocess", "tfrecords", "evaluate"}
            flat = params.flat()
            assert keys
            for key in keys:  # that a stage depends on
                assert any(known == key or known.startswith(f"{key}.") for known in flat), key
    finally:
        presets.apply("default", Path("params.yaml"))


def params_of(stage: Any) -> set[str]:
    return {key for dep in stage.deps if isinstance(dep, ParamsDependency) for key in dep.params}


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
