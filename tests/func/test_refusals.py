"""A finished project whose files were damaged: its real commands say what, and write nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from quickspine.files import sha256
from tests.func.project import Project

pytestmark = pytest.mark.faults
Copied = Callable[[], Project]


def outputs(project: Project) -> dict[str, str]:
    """Digests of everything that stages and runs leave."""
    return {
        str(path.relative_to(project.path)): sha256(path)
        for name in ("data", "models", "evaluation", "mlruns")
        for path in sorted((project.path / name).rglob("*"))
        if path.is_file()
    }


def refuses(project: Project, message: str, *command: str) -> None:
    """The command exits with 2 and one line, and leaves everything as it is."""
    before = outputs(project)
    done = project.run("python", "-m", *command, check=False)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert outputs(project) == before


def flip(path: Path) -> Callable[[], None]:
    """Change a bit in the middle of a file; returns what undoes it."""
    content = path.read_bytes()
    middle = len(content) // 2
    path.unlink()  # it may be a link into DVC's cache
    path.write_bytes(content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :])

    def undo() -> None:
        path.write_bytes(content)

    return undo


def test_damage_is_named_by_the_stage_that_meets_it(copied: Copied) -> None:
    project = copied()
    train = ("pipeline.train", "--head", "spinal", "--seed", "1")

    undo = flip(next((project.path / "data/records").glob("train-*.tfrecord")))
    remedy = "not the shard of "
    refuses(project, remedy, *train)
    refuses(project, remedy, "pipeline.finetune", "--head", "dense", "--seed", "1")
    refuses(project, remedy, "pipeline.evaluate")
    undo()

    undo = flip(project.path / "models/finetune-spinal-1/model.keras")
    message = "evaluate: models/finetune-spinal-1/model.keras: not the model that was trained"
    refuses(project, message, "pipeline.evaluate")
    undo()

    undo = flip(project.path / "data/raw/manifest.json")
    refuses(project, "preprocess: data/raw", "pipeline.preprocess")
    undo()

    project.set({"train.backbone": "vgg19"})
    message = "train.backbone: vgg19 needs images of at least 32x32 pixels. Received: the data's"
    refuses(project, message, *train)
    project.set({"train.backbone": "vgg5"})

    project.set({"data.categories": ["apple", "cat", "ice cream", "moon"]})
    message = "data/records: images of other categories than data.categories ('moon', 'zigzag')"
    refuses(project, message, *train)
    refuses(project, message, "pipeline.evaluate")
