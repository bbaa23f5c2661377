"""Charts of categories and confidences: accuracy by category, confusion matrix, calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure

from quickspine.evaluation.calibration import Reliability
from quickspine.evaluation.metrics import Ints, ModelRun, PerCategory, confusion, ratio
from quickspine.evaluation.report.charts import COLOURS, INK, colour, marker

SHOWN = 30  # categories in the chart of accuracies
NAMED = 40  # categories up to which a confusion matrix has room for names
NUMBERED = 30  # categories up to which it has room for numbers
LARGEST, SMALLEST = 130.0, 6.0  # points², of the mark of a bin that holds all answers, or one


def _shortened(category: str) -> str:
    return category if len(category) <= 24 else category[:23] + "…"


def most_different(by_head: Mapping[str, PerCategory], count: int = SHOWN) -> list[int]:
    """Labels of the categories to show: those on which two heads differ most come first.

    With one head, those with the most errors. Ties go to the lower label; categories without test
    images are left out.
    """
    shares = np.array([each.accuracy for each in by_head.values()])
    gap = shares[0] - shares[1] if len(shares) > 1 else 1 - shares[0]
    order = np.argsort(np.where(np.isnan(gap), np.inf, -np.abs(gap)), kind="stable")
    return [int(category) for category in order if not np.isnan(gap[category])][:count]


def by_category(by_head: Mapping[str, PerCategory], categories: Sequence[str]) -> Figure:
    """Accuracy by category, one mark with its 95 % (Wilson) interval for each of 1 or 2 heads.

    Args:
        by_head: one or two heads.
        categories: C names in label order.
    """
    rows = most_different(by_head)
    figure = Figure(figsize=(4.8, 1.0 + 0.3 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for number, (head, each) in enumerate(by_head.items()):
        aside = 0.17 * (2 * number - 1) if len(by_head) > 1 else 0.0
        places = [row + aside for row in range(len(rows))]
        low, share, high = (100 * values[rows] for values in (each.low, each.accuracy, each.high))
        axes.hlines(places, low, high, color=colour(head), lw=1.6)
        axes.plot(share, places, marker=marker(head), ms=5, ls="", color=colour(head), label=head)
    axes.set_yticks(range(len(rows)), [_shortened(categories[row]) for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel("test accuracy, %")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    figure.legend(loc="outside upper left", ncols=2)
    return figure


def calibration(by_head: Mapping[str, Reliability]) -> Figure:
    """Reliability diagram: accuracy against confidence, marks sized by the answers in a bin."""
    figure = Figure(figsize=(4.2, 4.0), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 100], [0, 100], color=INK, lw=1, ls=(0, (4, 3)))
    for head, bins in by_head.items():
        filled = bins.counts > 0
        x, y = 100 * bins.confidence[filled], 100 * bins.accuracy[filled]
        share = bins.counts[filled] / bins.counts.sum()
        axes.plot(x, y, color=colour(head), lw=1.4, alpha=0.8)
        axes.scatter(x, y, SMALLEST + (LARGEST - SMALLEST) * np.sqrt(share), color=colour(head),
                     marker=marker(head), alpha=0.85, lw=0, zorder=3, label=head)  # fmt: skip
    axes.set(xlim=(0, 103), ylim=(0, 103), aspect="equal")
    axes.set(xlabel="confidence, %", ylabel="accuracy, %")
    axes.grid()
    for handle in axes.legend(loc="upper left").legend_handles:
        if handle is not None:
            handle.set_sizes([40.0])  # type: ignore[attr-defined] # they are of a scatter
    return figure


def mean_confusion(group: Sequence[ModelRun], labels: Ints) -> npt.NDArray[np.float64]:
    """Row-normalised confusion matrix [C, C] over all seeds; 0 in a row without images."""
    total = np.sum([confusion(run.logits, labels) for run in group], axis=0)
    return np.nan_to_num(ratio(total, total.sum(axis=1, keepdims=True)))


def heatmap(share: npt.NDArray[np.float64], categories: Sequence[str]) -> Figure:
    """A confusion matrix [C, C] of shares: rows true, columns predicted, the diagonal in blue."""
    count = len(categories)
    side = min(max(3.6, 1.6 + 0.25 * count), 12)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    diagonal = np.eye(count, dtype=bool)
    # Errors are few: a root scale and a hue of their own make a share of 1 % visible. Zero is
    # transparent, so that it shows the page, light or dark.
    for shown, ink, power in (
        (diagonal, COLOURS["dense"], 1.0),
        (~diagonal, COLOURS["spinal"], 0.5),
    ):
        shades = LinearSegmentedColormap.from_list(ink, [ink + "00", ink + "ff"])
        axes.imshow(np.ma.masked_array(share, ~shown), cmap=shades, norm=PowerNorm(power, 0, 1),
                    interpolation="none")  # fmt: skip
    if count <= NUMBERED:
        for row, column in np.argwhere(share >= 0.005):
            axes.text(column, row, f"{100 * share[row, column]:.0f}", ha="center", va="center",
                      fontsize=7)  # fmt: skip
    if count <= NAMED:
        names = [_shortened(name) for name in categories]
        axes.set_xticks(range(count), names, rotation=90)
        axes.set_yticks(range(count), names)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set(xlabel="predicted category (% of the row)", ylabel="true category")
    return figure
