"""The charts, as matplotlib Figures; where they are written is the business of `figures`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure

from quickspine.evaluation.comparison import by_model
from quickspine.evaluation.metrics import Ints, ModelRun, confusion

# Inks of their own, so that a page can exchange them where it is dark.
INK, PAPER = "#1b1b1d", "#fefefe"
COLOURS = {"dense": "#3c83c8", "spinal": "#d9641e", "linear": "#4f9a5b"}
MARKERS = {"dense": "o", "spinal": "s", "linear": "^"}
STAGES = {"train": "from random weights", "finetune": "pretrained backbone"}
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
NAMED = 40  # categories beyond which a heatmap has no room for names
NUMBERED = 30  # categories beyond which it has no room for numbers


def _stages(runs: Sequence[ModelRun]) -> list[str]:
    return list(dict.fromkeys(run.stage for run in runs))


def _colour(head: str) -> str:
    return COLOURS.get(head, INK)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def curves(runs: Sequence[ModelRun]) -> Figure:
    """Validation accuracy by epoch: a panel a stage, seeds thin, their mean thick."""
    stages = _stages(runs)
    figure = Figure(figsize=(4.4 * len(stages) + 0.4, 3.6), layout="constrained")
    panels = figure.subplots(1, len(stages), squeeze=False)[0]
    for axes, stage in zip(panels, stages, strict=True):
        for group in by_model(run for run in runs if run.stage == stage).values():
            head, lines = group[0].head, []
            for run in group:
                points = {int(row["epoch"]): 100 * _number(row.get("val_accuracy"))
                          for row in run.history}  # fmt: skip
                axes.plot(points.keys(), points.values(), color=_colour(head), lw=0.8, alpha=0.5)
                lines.append(points)
            # Only epochs that all seeds reached: a seed that stops must not bend the mean.
            shared = sorted(set(lines[0]).intersection(*lines[1:]))
            means = [float(np.mean([points[epoch] for points in lines])) for epoch in shared]
            axes.plot(shared, means, color=_colour(head), lw=2.4, label=head, ms=4,
                      marker=MARKERS.get(head, "D"))  # fmt: skip
        axes.set(title=f"{stage}: {STAGES.get(stage, '')}", xlabel="epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(axis="y")
        axes.legend(loc="lower right")
    panels[0].set_ylabel("validation accuracy, %")
    return figure


def _accuracies(axes: Axes, models: dict[str, Any]) -> None:
    """One row a model: its seeds as dots, its mean with the 95 % interval, in per cent."""
    for row, (name, model) in enumerate(models.items()):
        head, found = name.partition("-")[2], model["accuracy"]
        colour, mean = _colour(head), 100 * found["mean"]
        low, high = (100 * end for end in found["ci95"])
        axes.plot([low, high], [row, row], color=colour, lw=2, solid_capstyle="butt")
        axes.plot(mean, row, marker=MARKERS.get(head, "D"), ms=8, color=colour)
        seeds = [100 * value for value in found["runs"]]
        # A little below, so that the dots do not hide in the mean.
        axes.plot(seeds, [row + 0.24] * len(seeds), "o", ms=4, color=colour, alpha=0.55)
        _label(axes, f"{mean:.2f}", mean, row)
    axes.set_yticks(range(len(models)), list(models))
    axes.set_ylim(len(models) - 0.4, -0.6)
    axes.set_xlabel("test accuracy, %")
    axes.grid(axis="x")
    axes.margins(x=0.08)


def accuracy(metrics: dict[str, Any]) -> Figure:
    """Every model's test accuracy: a dot a seed, the mean with its 95 % interval."""
    models = metrics["models"]
    figure = Figure(figsize=(5.4, 1.1 + 0.72 * len(models)), layout="constrained")
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


def _shades(colour: str) -> LinearSegmentedColormap:
    """From nothing to `colour`: what is zero shows the page, be it light or dark."""
    return LinearSegmentedColormap.from_list(colour, [colour + "00", colour + "ff"])


def mean_confusion(group: Sequence[ModelRun], labels: Ints) -> npt.NDArray[np.float64]:
    """Float [C, C]: of each true category (row) the share answered as each; mean over seeds.

    The row of a category without drawings is 0.
    """
    total = np.sum([confusion(run.logits, labels) for run in group], axis=0)
    shown, share = total.sum(axis=1, keepdims=True), np.zeros(total.shape)
    np.divide(total, shown, out=share, where=shown > 0)
    return share


def heatmap(share: npt.NDArray[np.float64], categories: Sequence[str]) -> Figure:
    """A confusion matrix [C, C] of shares: rows true, columns answered, right answers in blue."""
    count = len(categories)
    side = min(max(3.6, 1.6 + 0.3 * count), 12)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    diagonal = np.eye(count, dtype=bool)
    # Errors are few: a root scale, and a hue of their own, make a share of 1 % visible.
    layers = ((diagonal, COLOURS["dense"], 1.0), (~diagonal, COLOURS["spinal"], 0.5))
    for shown, colour, power in layers:
        axes.imshow(np.ma.masked_array(share, ~shown), cmap=_shades(colour),
                    norm=PowerNorm(power, 0, 1), interpolation="none")  # fmt: skip
    if count <= NUMBERED:
        for row, column in np.argwhere(share >= 0.005):
            axes.text(column, row, f"{100 * share[row, column]:.0f}", ha="center", va="center",
                      fontsize=7)  # fmt: skip
    if count <= NAMED:
        names = [name if len(name) <= 24 else name[:23] + "…" for name in categories]
        axes.set_xticks(range(count), names, rotation=90)
        axes.set_yticks(range(count), names)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set(xlabel="answered (numbers: per cent of the row)", ylabel="true category")
    return figure
