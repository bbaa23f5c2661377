"""Everything in evaluation/plots/: the charts, and the tables for `dvc plots`."""

from __future__ import annotations

import csv
import functools
import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from quickspine.evaluation import summary
from quickspine.evaluation.calibration import Reliability, reliability
from quickspine.evaluation.metrics import (
    Ints,
    ModelRun,
    PerCategory,
    by_model,
    confusion,
    per_category,
)
from quickspine.evaluation.report import category_charts, charts
from quickspine.evaluation.report.images import data_uri
from quickspine.files import whole_folder

MEASURES = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")
PIXELS = 105  # of a page per inch of a figure


@dataclass(frozen=True)
class Chart:
    """A chart as an `img` element of a page: isolated from its styles, ids and scripts."""

    title: str
    src: str
    width: int  # pixels at its natural size
    height: int


def write(
    place: Path,
    runs: Sequence[ModelRun],
    labels: Ints,
    categories: Sequence[str],
    metrics: dict[str, Any],
) -> dict[str, Chart]:
    """Fill the folder `place`, whole or not at all; the same inputs give the same bytes.

    Files: `history.csv`, `per-category.csv`, `calibration.csv`, `confusion.csv` (all models and
    seeds), `result.png`, and as `<name>.svg` the charts `accuracy`, for each stage
    `curves-<stage>` (where a run has a history), a `<cost>-<stage>` for each of `charts.COSTS`,
    `categories-<stage>` (of the two main heads), `calibration-<stage>`, and
    `confusion-<stage>-<head>` (all seeds).

    Args:
        place: the folder; its previous content is replaced.
        runs: as given to `comparison.summarise`.
        labels: int [N], the true labels.
        categories: C names in label order.
        metrics: from `comparison.summarise`.

    Returns:
        The charts by name.
    """
    groups = by_model(runs)
    bins = {
        model: functools.reduce(operator.add, (reliability(run.logits, labels) for run in group))
        for model, group in groups.items()
    }
    by_category = {model: per_category(group, labels) for model, group in groups.items()}
    with whole_folder(place) as folder, charts.style():
        write_history(folder / "history.csv", runs)
        write_confusions(folder / "confusion.csv", groups, labels, categories)
        write_categories(folder / "per-category.csv", by_category, categories)
        write_calibration(folder / "calibration.csv", bins)
        charts.png(charts.result(metrics), folder / "result.png")
        drawn: dict[str, Chart] = {}

        def add(name: str, title: str, figure: Figure) -> None:
            document = charts.svg(figure)
            (folder / f"{name}.svg").write_text(document, encoding="utf-8")
            width, height = (round(PIXELS * side) for side in figure.get_size_inches())
            drawn[name] = Chart(title, data_uri(document.encode(), "svg+xml"), width, height)

        add("accuracy", "Test accuracy of every model", charts.accuracy(metrics))
        for stage, pair in summary.main_pairs(metrics).items():
            heads = summary.heads(metrics, stage)
            if own := [run for run in runs if run.stage == stage and run.history]:
                title = f"Validation accuracy by epoch, {stage}"
                add(f"curves-{stage}", title, charts.curves(own))
            for cost, (_, words) in charts.COSTS.items():
                title = f"Test accuracy against {words}, {stage}"
                add(f"{cost}-{stage}", title, charts.cost(heads, cost))
            shown = {head: by_category[f"{stage}-{head}"] for head in pair or heads}
            add(f"categories-{stage}", f"Test accuracy by category, {stage}",
                category_charts.by_category(shown, categories))  # fmt: skip
            of_heads = {head: bins[f"{stage}-{head}"] for head in heads}
            add(f"calibration-{stage}", f"Accuracy by confidence, {stage}",
                category_charts.calibration(of_heads))  # fmt: skip
        for model, group in groups.items():
            shares = category_charts.mean_confusion(group, labels)
            add(f"confusion-{model}", f"Confusion matrix of {model}",
                category_charts.heatmap(shares, categories))  # fmt: skip
    return drawn


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.6g}" if math.isfinite(value) else ""
    return "" if value is None else value


def _write_csv(place: Path, head: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    with place.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        writer.writerows([_cell(cell) for cell in row] for row in rows)


def write_history(place: Path, runs: Sequence[ModelRun]) -> None:
    """Write one row per epoch of a run; unknown measures are empty."""
    rows = (
        [run.stage, run.head, run.seed, epoch["epoch"], *(epoch.get(name) for name in MEASURES)]
        for run in runs
        for epoch in run.history
    )
    _write_csv(place, ["stage", "head", "seed", "epoch", *MEASURES], rows)


def write_confusions(
    place: Path, groups: Mapping[str, Sequence[ModelRun]], labels: Ints, categories: Sequence[str]
) -> None:
    """Write one row per model and pair of categories that occurs, over all seeds."""
    rows = []
    for model, group in groups.items():
        matrix = np.sum([confusion(run.logits, labels) for run in group], axis=0)
        for actual, predicted in np.argwhere(matrix):
            pair = categories[actual], categories[predicted]
            rows.append([*model.split("-", 1), *pair, matrix[actual, predicted]])
    _write_csv(place, ["stage", "head", "actual", "predicted", "answers"], rows)


def write_categories(
    place: Path, by_model: Mapping[str, PerCategory], categories: Sequence[str]
) -> None:
    """Write one row per model and category, over all seeds, with the 95 % (Wilson) interval."""
    rows = (
        [*model.split("-", 1), category, *row]
        for model, each in by_model.items()
        for category, *row in zip(
            categories,
            each.images.tolist(),
            each.accuracy.tolist(),
            each.low.tolist(),
            each.high.tolist(),
            strict=True,
        )
    )
    _write_csv(place, ["stage", "head", "category", "drawings", "accuracy", "low", "high"], rows)


def write_calibration(place: Path, by_model: Mapping[str, Reliability]) -> None:
    """Write one row per model and bin of confidence that holds predictions, over all seeds."""
    head = ["stage", "head", "low", "high", "answers", "confidence", "accuracy"]
    rows = []
    for model, bins in by_model.items():
        size = len(bins.counts)
        columns = bins.counts.tolist(), bins.confidence.tolist(), bins.accuracy.tolist()
        for number, row in enumerate(zip(*columns, strict=True)):
            if row[0]:
                rows.append([*model.split("-", 1), number / size, (number + 1) / size, *row])
    _write_csv(place, head, rows)
