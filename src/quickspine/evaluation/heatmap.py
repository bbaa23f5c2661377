"""The confusion matrix as a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure

from quickspine.evaluation.charts import COLOURS
from quickspine.evaluation.metrics import Ints, ModelRun, confusion

NAMED = 40  # categories beyond which a heatmap has no room for names
NUMBERED = 30  # categories beyond which it has no room for numbers


def named(category: str) -> str:
    """A name that leaves room for the picture."""
    return category if len(category) <= 24 else category[:23] + "…"


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
    side = min(max(3.6, 1.6 + 0.25 * count), 12)
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
        names = [named(name) for name in categories]
        axes.set_xticks(range(count), names, rotation=90)
        axes.set_yticks(range(count), names)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set(xlabel="answered (numbers: per cent of the row)", ylabel="true category")
    return figure
