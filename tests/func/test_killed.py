"""A real stage, really killed at the worst moments, ends with the bytes of one never killed."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.func.project import Project

pytestmark = [pytest.mark.slow, pytest.mark.faults]
KILLING = Path(__file__).with_name("killing.py")


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def statuses(project: Project) -> list[str]:
    """Of the runs of the spinal trainings."""
    with sqlite3.connect(project.path / "mlruns" / "mlflow.db") as connection:
        rows = connection.execute("SELECT name, status FROM runs ORDER BY start_time").fetchall()
    connection.close()
    return [status for name, status in rows if name.endswith("spinal-1")]


def struck(project: Project, stage: str, moment: str, count: int, signal: str) -> str:
    """Run a stage that is struck; what it said."""
    arguments = ("--head", "spinal", "--seed", "1")
    command = (sys.executable, str(KILLING), moment, str(count), signal, f"pipeline.{stage}")
    done = project.run(*command, *arguments, check=False)
    assert done.returncode == (-9 if signal == "SIGKILL" else 1), done.stderr
    assert "Traceback" not in done.stderr
    if signal != "SIGKILL":
        assert f"{stage}-spinal-1: interrupted; run it again to go on" in done.stderr
    return done.stdout


def whole(project: Project, stage: str) -> str:
    command = ("python", "-m", f"pipeline.{stage}")
    return project.run(*command, "--head", "spinal", "--seed", "1").stdout


def test_a_training_killed_again_and_again(copied: Callable[[], Project]) -> None:
    """Two epochs of eleven steps; each start goes on where the one before it was killed."""
    project = copied()
    place = project.path / "models" / "train-spinal-1"
    expected = bytes_of(place)
    shutil.rmtree(place)

    struck(project, "train", "half a checkpoint", 7, "SIGKILL")  # six are done, with checkpoints
    said = struck(project, "train", "step", 3, "SIGTERM")  # that step is finished
    assert "going on from its checkpoint, at epoch 1, step 7" in said
    said = struck(project, "train", "outputs half in place", 1, "SIGKILL")
    assert "going on from its checkpoint, at epoch 1, step 10" in said
    assert not place.exists()
    said = struck(project, "train", "outputs in place", 1, "SIGKILL")
    assert "going on from its checkpoint, at epoch 3, step 1" in said  # nothing to train any more
    assert bytes_of(place) == expected
    shutil.rmtree(place)  # as DVC does
    whole(project, "train")

    assert bytes_of(place) == expected
    assert not list(project.path.rglob(".partial-*"))
    assert not list((project.path / ".quickspine" / "checkpoints").iterdir())
    assert statuses(project)[-5:] == ["KILLED"] * 4 + ["FINISHED"]


def test_finetuning_killed_in_each_phase(copied: Callable[[], Project]) -> None:
    project = copied()
    project.set({"tracking.enabled": False})
    place = project.path / "models" / "finetune-spinal-1"
    expected = bytes_of(place)
    shutil.rmtree(place)

    struck(project, "finetune", "step", 2, "SIGINT")
    said = struck(project, "finetune", "checkpoint in place", 6, "SIGKILL")
    assert "spinal-1-head: going on from its checkpoint, at epoch 1, step 3" in said
    said = whole(project, "finetune")
    assert "spinal-1-head: going on from its checkpoint, at epoch 2, step 1" in said
    assert "spinal-1-blocks: going on from its checkpoint, at epoch 1, step 3" in said

    assert bytes_of(place) == expected
    assert not list(project.path.rglob(".partial-*"))
