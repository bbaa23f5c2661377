"""Folders and files outside the project: a changed one is never taken for the old one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.func.project import Project, new


def write(folder: Path, shade: int) -> None:
    """Ten pictures in each of two classes, told apart by noise, as bright as `shade`."""
    random = np.random.default_rng(shade)
    for name in ("cats", "dogs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(10):
            pixels = random.integers(shade, shade + 50, (12, 12, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


def raw(project: Project) -> list[str]:
    """The digests of what was fetched."""
    manifest = project.json("data/raw/manifest.json")
    return [entry["sha256"] for entry in manifest["categories"]]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    write(tmp_path / "pictures", 10)
    changes = {
        "data.source": "folder", "data.folder": str(tmp_path / "pictures"),
        "data.categories": None, "data.drawings_per_category": 10, "data.image_size": 12,
    }  # fmt: skip
    return new(tmp_path / "project", changes)


@pytest.mark.slow
def test_replaced_pictures_are_fetched_again_also_past_the_run_cache(
    project: Project, tmp_path: Path
) -> None:
    fetch = ("dvc", "repro", "fetch")
    project.run(*fetch)
    first = raw(project)
    assert "didn't change" in project.run(*fetch).stdout
    assert "up to date" in project.run("dvc", "status", "fetch").stdout

    write(tmp_path / "pictures", 100)
    plan = project.run("python", "-m", "quickspine.plan").stdout
    assert "runs: data.folder or data.mirror modified" in plan
    project.run(*fetch)
    second = raw(project)
    assert second != first

    # The run cache knows these params with the first pictures: it must not bring those back.
    write(tmp_path / "pictures", 180)
    project.set({"data.drawings_per_category": 5})
    project.run(*fetch)
    project.set({"data.drawings_per_category": 10})
    project.run(*fetch)
    third = raw(project)
    assert third not in (first, second)

    # What is right to bring back is brought back.
    write(tmp_path / "pictures", 100)
    assert "is cached" in project.run(*fetch).stdout
    assert raw(project) == second


@pytest.mark.slow
def test_another_folder_and_none_are_noticed(project: Project, tmp_path: Path) -> None:
    project.run("dvc", "repro", "fetch")
    first = raw(project)
    write(tmp_path / "others", 200)
    (tmp_path / "pictures").rename(tmp_path / "moved")
    project.set({"data.folder": str(tmp_path / "others")})
    project.run("python", "-m", "quickspine.inputs")  # as make does
    project.run("dvc", "repro", "fetch")
    assert raw(project) != first
    project.set({"data.source": "doodles", "data.image_size": None})
    project.run("dvc", "repro", "fetch")
    assert (project.path / "inputs" / "data").readlink() == Path("none")


@pytest.mark.slow
def test_a_folder_inside_the_project_is_found_from_temporary_copies(project: Project) -> None:
    """One that git ignores is not in DVC's copies; one that git holds is, and in clones too."""
    write(project.path / "pictures", 20)
    project.set({"data.folder": "pictures"})
    (project.path / ".git" / "info" / "exclude").write_text("/pictures\n")
    link = project.path / "inputs" / "data"
    project.run("python", "-m", "quickspine.inputs")
    assert link.readlink() == project.path / "pictures"
    project.commit()
    project.run("dvc", "exp", "run", "--temp", "-S", "data.drawings_per_category=5", "fetch")

    project.run("git", "add", "--force", "pictures")
    project.run("python", "-m", "quickspine.inputs")
    assert link.readlink() == Path("../pictures")


@pytest.mark.slow
def test_a_changed_weights_file_reruns_fine_tuning(
    copied: Callable[[], Project], tmp_path: Path
) -> None:
    project, weights = copied(), tmp_path / "own.weights.h5"
    weights.write_bytes(b"one")
    project.set({"finetune.weights": str(weights)})
    project.run("python", "-m", "quickspine.inputs")
    stages = [f"finetune@{head}-1" for head in ("dense", "spinal")]
    project.run("dvc", "commit", "-f", *stages)
    assert "up to date" in project.run("dvc", "status", *stages).stdout
    weights.write_bytes(b"two")
    status = project.run("dvc", "status", *stages).stdout
    assert status.count("inputs/weights") == 2
    assert "src/" not in status


@pytest.mark.slow
def test_models_that_are_no_longer_asked_for_leave_a_clone_up_to_date(
    copied: Callable[[], Project], tmp_path: Path
) -> None:
    project = copied()
    project.set({"heads": ["dense"]})
    assert project.repro() == ["evaluate"]
    assert sorted(path.name for path in (project.path / "models").iterdir()) == [
        "finetune-dense-1",
        "train-dense-1",
    ]
    project.run("dvc", "remote", "add", "-d", "store", str(tmp_path / "remote"))
    project.commit()
    project.run("dvc", "push")
    clone = Project(tmp_path / "clone")
    project.run("git", "clone", "-q", ".", str(clone.path))
    clone.run("dvc", "pull")
    assert "up to date" in clone.run("dvc", "status").stdout
    # Asked for again, they come back without being trained.
    project.set({"heads": ["dense", "spinal"]})
    assert project.repro() == []
    assert (project.path / "models" / "train-spinal-1" / "model.keras").is_file()
