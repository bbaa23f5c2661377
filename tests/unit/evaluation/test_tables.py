from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quickspine.evaluation import tables


def rows(place: Path) -> list[dict[str, str]]:
    with place.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_by_hand(make: Any, tmp_path: Path) -> None:
    labels = np.array([0, 0, 1])
    right = np.array([[9, 0, 0], [9, 0, 0], [0, 9, 0]], np.float32)
    wrong = np.array([[9, 0, 0], [0, 9, 0], [9, 0, 0]], np.float32)
    one, other = make(seeds=(1, 2), stages=("train",), heads=("dense",)).runs
    runs = [replace(one, logits=right), replace(other, logits=wrong)]
    tables.confusions(tmp_path / "confusion.csv", runs, labels, ["cat", 'a "b", c', "moon"])
    assert [tuple(row.values()) for row in rows(tmp_path / "confusion.csv")] == [
        ("train", "dense", "cat", "cat", "3"),
        ("train", "dense", "cat", 'a "b", c', "1"),
        ("train", "dense", 'a "b", c', "cat", "1"),
        ("train", "dense", 'a "b", c', 'a "b", c', "1"),
    ]


@pytest.mark.parametrize("seeds", [(1,), (1, 2, 3)])
def test_every_answer_of_every_seed_is_counted(
    make: Any, tmp_path: Path, seeds: tuple[int, ...]
) -> None:
    case = make(seeds=seeds)
    tables.confusions(tmp_path / "confusion.csv", case.runs, case.labels, case.categories)
    found = rows(tmp_path / "confusion.csv")
    assert list(found[0]) == ["stage", "head", "actual", "predicted", "answers"]
    for stage in ("train", "finetune"):
        for head in ("dense", "spinal"):
            of_one = [row for row in found if (row["stage"], row["head"]) == (stage, head)]
            runs = [run for run in case.runs if run.model == f"{stage}-{head}"]
            assert sum(int(row["answers"]) for row in of_one) == len(seeds) * len(case.labels)
            right = sum(int((run.logits.argmax(1) == case.labels).sum()) for run in runs)
            on_it = [row for row in of_one if row["actual"] == row["predicted"]]
            assert sum(int(row["answers"]) for row in on_it) == right
