"""Photographs of many sizes, in folders of their own splits, through the whole pipeline."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.func.project import Project, new

pytestmark = pytest.mark.slow

COLOURS = {"a/b & <red>": (200, 30, 30), "green": (30, 180, 30), "blue": (40, 40, 210)}
COUNTS = {"Training": 20, "Test": 10}


def write(folder: Path) -> None:
    """Noisy colours, each of its own size; names as people have them."""
    random = np.random.default_rng(5)
    for split, count in COUNTS.items():
        for name, colour in COLOURS.items():
            place = folder / split / name.replace("/", ", ")
            place.mkdir(parents=True)
            for number in range(count):
                size = (*random.integers(30, 90, 2).tolist(), 3)
                noise = random.normal(0, 25, size) + np.array(colour)
                image = Image.fromarray(noise.clip(0, 255).astype(np.uint8))
                image.save(place / f"Übung {number}.{'PNG' if number % 2 else 'jpeg'}")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    place = tmp_path_factory.mktemp("pictures")
    write(place / "photographs")
    made = new(
        place / "project",
        {
            "data.source": "folder", "data.folder": str(place / "photographs"),
            "data.categories": None, "data.drawings_per_category": None, "data.image_size": 32,
            "heads": ["linear", "spinal"], "train.backbone": "resnet18", "train.width": 0.05,
            "train.features": "paper", "train.spinal_input": "cells", "train.spinal_width": 8,
            "train.epochs": 1, "train.batch_size": 8, "train.augment.crop": 2,
            "train.augment.flip": True, "finetune.enabled": False, "tracking.enabled": False,
        },
    )  # fmt: skip
    made.repro()
    return made


def test_the_source_s_test_split_is_the_one_that_is_evaluated(project: Project) -> None:
    records = project.json("data/records/manifest.json")
    assert records["encoding"] == "pictures"
    assert records["shape"] == [32, 32, 3]
    assert records["categories"] == sorted(name.replace("/", ", ") for name in COLOURS)
    metrics = project.json("evaluation/metrics.json")
    assert metrics["data"]["source"] == "folder photographs"
    assert metrics["data"]["test"] == 30
    assert metrics["data"]["train"] + metrics["data"]["validation"] == 60
    assert list(metrics["models"]) == ["train-linear", "train-spinal"]
    assert not [name for name in metrics["comparisons"] if name == "finetune"]


def test_what_is_switched_off_leaves_a_word(project: Project) -> None:
    for head in ("linear", "spinal"):
        folder = project.path / f"models/finetune-{head}-1"
        assert [path.name for path in folder.iterdir()] == ["skipped.json"]


def test_the_report_speaks_of_photographs_and_warns_of_unequal_features(project: Project) -> None:
    report = (project.path / "evaluation/report.html").read_text(encoding="utf-8")
    card = (project.path / "evaluation/model-card.md").read_text(encoding="utf-8")
    assert "a, b &amp; &lt;red&gt;" in report
    assert "<red>" not in report
    read = re.sub(r'(?s)class="[^"]*"|<style.*?</style>', "", report)
    assert not re.search(r"(?i)\bdrawings?\b", read)
    assert not re.search(r"(?i)\bdrawings?\b", card)
    assert "do not see the same" in report
    assert "do not see the same" in card
    assert "colour (red, green, blue) images of 32 by 32 pixels" in card
    assert str(project.path.parent) not in report + card


def test_nothing_runs_again(project: Project) -> None:
    assert project.repro() == []
