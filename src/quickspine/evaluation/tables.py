"""CSV files for `dvc plots`: epochs, categories, calibration, and what is taken for what."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from quickspine.evaluation.calibration import Reliability
from quickspine.evaluation.comparison import by_model
from quickspine.evaluation.metrics import Ints, ModelRun, confusion
from quickspine.evaluation.per_category import PerCategory

MEASURES = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.6g}" if math.isfinite(value) else ""
    return "" if value is None else value


def _write(place: Path, head: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    with place.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        writer.writerows([_cell(cell) for cell in row] for row in rows)


def history(place: Path, runs: Sequence[ModelRun]) -> None:
    """One row an epoch of a run: stage, head, seed, epoch and the measures (empty if unknown)."""
    rows = (
        [run.stage, run.head, run.seed, epoch["epoch"], *(epoch.get(name) for name in MEASURES)]
        for run in runs
        for epoch in run.history
    )
    _write(place, ["stage", "head", "seed", "epoch", *MEASURES], rows)


def confusions(
    place: Path, runs: Sequence[ModelRun], labels: Ints, categories: Sequence[str]
) -> None:
    """One row a model and pair of categories that occurs: its answers, over all seeds."""
    rows = []
    for model, group in by_model(runs).items():
        matrix = np.sum([confusion(run.logits, labels) for run in group], axis=0)
        for actual, predicted in np.argwhere(matrix):
            pair = categories[actual], categories[predicted]
            rows.append([*model.split("-", 1), *pair, matrix[actual, predicted]])
    _write(place, ["stage", "head", "actual", "predicted", "answers"], rows)


def by_category(place: Path, models: Mapping[str, PerCategory], categories: Sequence[str]) -> None:
    """One row a model and category, over all seeds.

    Its test drawings, the accuracy on them, and the ends of its 95 % (Wilson) interval.
    """
    rows = (
        [*model.split("-", 1), category, *row]
        for model, found in models.items()
        for category, *row in zip(
            categories,
            found.drawings.tolist(),
            found.accuracy.tolist(),
            found.low.tolist(),
            found.high.tolist(),
            strict=True,
        )
    )
    _write(place, ["stage", "head", "category", "drawings", "accuracy", "low", "high"], rows)


def calibration(place: Path, models: Mapping[str, Reliability]) -> None:
    """One row a model and bin of confidence that holds answers, over all seeds.

    The ends of the bin, how many answers are in it, their mean confidence and accuracy.
    """
    head = ["stage", "head", "low", "high", "answers", "confidence", "accuracy"]
    rows = []
    for model, found in models.items():
        edges = [number / len(found.drawings) for number in range(len(found.drawings) + 1)]
        columns = found.drawings.tolist(), found.confidence.tolist(), found.accuracy.tolist()
        for row in zip(edges[:-1], edges[1:], *columns, strict=True):
            if row[2]:
                rows.append([*model.split("-", 1), *row])
    _write(place, head, rows)
