"""The charts, as matplotlib Figures; where they are written is the business of `figures`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from quickspine.evaluation.comparison import by_model
from quickspine.evaluation.metrics import ModelRun

# Inks of their own, so that a page can exchange them where it is dark.
INK, PAPER = "#1b1b1d", "#fefefe"
COLOURS = {
    "progressive": "#b3397a",
    "spinal": "#d9641e",
    "matched": "#8a63c9",
    "dense": "#3c83c8",
    "linear": "#4f9a5b",
}
MARKERS = {"progressive": "v", "spinal": "s", "matched": "D", "dense": "o", "linear": "^"}
STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 10,
    "text.parse_math": False,  # a category may be called "$"
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
    "legend.frameon": False,
    "figure.constrained_layout.h_pad": 0.08,  # inches
    "figure.constrained_layout.w_pad": 0.08,
    "grid.alpha": 0.15,
    "grid.color": INK,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def colour(head: str) -> str:
    """The ink of a head, the same in all charts."""
    return COLOURS.get(head, INK)


def marker(head: str) -> str:
    """The mark of a head, for those who see no colours."""
    return MARKERS.get(head, "P")


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def curves(runs: Sequence[ModelRun]) -> Figure:
    """Validation accuracy by epoch, of the runs of one stage.

    A line a head, the mean over its seeds, in a band from the lowest seed to the highest. Both
    cover the epochs that all seeds reached (a seed that stops must not bend the mean); where
    others went on, a thin line follows each.
    """
    figure = Figure(figsize=(4.6, 3.4), layout="constrained")
    axes = figure.subplots()
    for group in by_model(runs).values():
        head = group[0].head
        lines = [
            {int(row["epoch"]): 100 * _number(row.get("val_accuracy")) for row in run.history}
            for run in group
        ]
        shared = sorted(set(lines[0]).intersection(*lines[1:]))
        by_epoch = np.array([[line[epoch] for line in lines] for epoch in shared])
        by_epoch = by_epoch.reshape(len(shared), len(lines))
        axes.plot(shared, by_epoch.mean(axis=1), color=colour(head), lw=2.2, label=head, ms=4,
                  marker=marker(head))  # fmt: skip
        if len(group) > 1:
            axes.fill_between(shared, by_epoch.min(axis=1), by_epoch.max(axis=1),
                              color=colour(head), alpha=0.18, lw=0)  # fmt: skip
        for line in lines:
            rest = {epoch: line[epoch] for epoch in sorted(line) if epoch >= max(shared, default=0)}
            if len(rest) > 1:
                axes.plot(list(rest), list(rest.values()), color=colour(head), lw=0.8, alpha=0.6)
    axes.set(xlabel="epoch", ylabel="validation accuracy, %")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y")
    axes.legend(loc="lower right")
    return figure


def _accuracies(axes: Axes, models: dict[str, Any]) -> None:
    """One row a model: its seeds as dots, its mean with the 95 % interval, in per cent."""
    for row, (name, model) in enumerate(models.items()):
        head, found = name.partition("-")[2], model["accuracy"]
        ink, mean = colour(head), 100 * found["mean"]
        low, high = (100 * end for end in found["ci95"])
        axes.plot([low, high], [row, row], color=ink, lw=2, solid_capstyle="butt")
        axes.plot(mean, row, marker=marker(head), ms=8, color=ink)
        seeds = [100 * value for value in found["runs"]]
        # A little below, so that the dots do not hide in the mean.
        axes.plot(seeds, [row + 0.24] * len(seeds), "o", ms=4, color=ink, alpha=0.55)
        _label(axes, f"{mean:.2f}", mean, row)
    axes.set_yticks(range(len(models)), list(models))
    axes.set_ylim(len(models) - 0.4, -0.6)
    axes.set_xlabel("test accuracy, %")
    axes.grid(axis="x")
    axes.margins(x=0.08)


def accuracy(metrics: dict[str, Any]) -> Figure:
    """Every model's test accuracy: a dot a seed, the mean with its 95 % interval."""
    models = metrics["models"]
    figure = Figure(figsize=(5.0, 1.1 + 0.72 * len(models)), layout="constrained")
    _accuracies(figure.subplots(), models)
    return figure


def result(metrics: dict[str, Any]) -> Figure:
    """The answer in one picture: accuracies, and spinal minus dense with its 95 % interval."""
    data, models, found = metrics["data"], metrics["models"], metrics["comparisons"]
    columns = 2 if found else 1
    figure = Figure(figsize=(9.6, 1.9 + 0.72 * len(models)), layout="constrained")
    panels = figure.subplots(1, columns, squeeze=False, width_ratios=[1.25, 1][:columns])[0]
    kind = "synthetic drawings" if data["synthetic"] else "drawings"
    figure.suptitle(
        f"{data['source']}: {data['test']:,} {kind} for testing, "
        f"{len(data['categories'])} categories",
        x=0.01, ha="left", fontsize=12, weight="bold",
    )  # fmt: skip
    _accuracies(panels[0], models)
    if found:
        _differences(panels[1], found)
    return figure


def _differences(axes: Axes, comparisons: dict[str, Any]) -> None:
    """One row a stage: spinal minus dense with the 95 % interval, in points."""
    axes.axvline(0, color=INK, lw=1, ls=(0, (4, 3)))
    for row, found in enumerate(comparisons.values()):
        middle, *ends = (100 * value for value in (found["accuracy_difference"], *found["ci95"]))
        axes.plot(ends, [row, row], color=INK, lw=2, solid_capstyle="butt")
        axes.plot(middle, row, "o", ms=8, color=INK)
        _label(axes, f"{middle:+.2f}", middle, row)
    axes.set_yticks(range(len(comparisons)), list(comparisons))
    axes.set_ylim(len(comparisons) - 0.5, -0.5)
    reach = 1.15 * max(abs(end) for end in axes.get_xlim())
    axes.set_xlim(-reach, reach)
    axes.set_xlabel("spinal minus dense, points\n← dense better    spinal better →")
    axes.grid(axis="x")


def _label(axes: Axes, words: str, x: float, y: float) -> None:
    """A number above its mark, on paper, so that no line runs through it."""
    box = {"facecolor": PAPER, "edgecolor": "none", "pad": 1}
    axes.annotate(words, (x, y), (0, 9), textcoords="offset points", ha="center", bbox=box)
