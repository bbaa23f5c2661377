"""CSV files for `dvc plots`: every epoch, and every answer."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from quickspine.evaluation.comparison import by_model
from quickspine.evaluation.metrics import Ints, ModelRun, confusion, per_class_accuracy

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


def answers(place: Path, run: ModelRun, labels: Ints, categories: Sequence[str]) -> None:
    """One row a test drawing, `actual,predicted`: DVC's confusion template counts the rows."""
    pairs = zip(labels, run.logits.argmax(axis=1), strict=True)
    _write(place, ["actual", "predicted"], ((categories[a], categories[p]) for a, p in pairs))


def per_category(
    place: Path, runs: Sequence[ModelRun], labels: Ints, categories: Sequence[str]
) -> None:
    """One row a model and category: its test drawings, and the accuracy on them, over all seeds."""
    rows = []
    for group in by_model(runs).values():
        matrix = sum(confusion(run.logits, labels) for run in group[1:]) + confusion(
            group[0].logits, labels
        )
        shares, shown = per_class_accuracy(matrix), matrix.sum(axis=1) // len(group)
        for category, drawings, share in zip(categories, shown, shares, strict=True):
            rows.append([group[0].stage, group[0].head, category, int(drawings), float(share)])
    _write(place, ["stage", "head", "category", "drawings", "accuracy"], rows)
