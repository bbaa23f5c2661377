"""Which category was taken for which, of all models in one table: for `dvc plots`."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from quickspine.evaluation.comparison import by_model
from quickspine.evaluation.metrics import Ints, ModelRun, confusion

HEAD = ("stage", "head", "actual", "predicted", "answers")


def write(place: Path, runs: Sequence[ModelRun], labels: Ints, categories: Sequence[str]) -> None:
    """One row a model and pair of categories that occurs: its answers over all seeds.

    Args:
        place: the CSV file.
        runs: as given to `comparison.summarise`.
        labels: int [N], the true labels.
        categories: C names in label order.
    """
    with place.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEAD)
        for group in by_model(runs).values():
            first = group[0]
            matrix = np.sum([confusion(run.logits, labels) for run in group], axis=0)
            for actual, predicted in np.argwhere(matrix):
                pair = categories[actual], categories[predicted]
                writer.writerow((first.stage, first.head, *pair, matrix[actual, predicted]))
