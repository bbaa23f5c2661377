"""The reliability curve: how often a model is right when it is so and so sure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from quickspine.evaluation.calibration import Reliability
from quickspine.evaluation.charts import INK, colour, marker

LARGEST, SMALLEST = 130.0, 6.0  # points², of the mark of a bin that holds all answers, or one


def calibration(found: Mapping[str, Reliability]) -> Figure:
    """Accuracy against confidence: a curve a head, the size of a mark by the answers in its bin."""
    figure = Figure(figsize=(4.2, 4.0), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 100], [0, 100], color=INK, lw=1, ls=(0, (4, 3)))
    for head, bins in found.items():
        filled = bins.drawings > 0
        x, y = 100 * bins.confidence[filled], 100 * bins.accuracy[filled]
        share = bins.drawings[filled] / bins.drawings.sum()
        axes.plot(x, y, color=colour(head), lw=1.4, alpha=0.8)
        axes.scatter(x, y, SMALLEST + (LARGEST - SMALLEST) * np.sqrt(share), color=colour(head),
                     marker=marker(head), alpha=0.85, lw=0, zorder=3, label=head)  # fmt: skip
    axes.set(xlim=(0, 103), ylim=(0, 103), aspect="equal")
    axes.set(xlabel="confidence of the answer, %", ylabel="answers that are right, %")
    axes.grid()
    legend = axes.legend(loc="upper left")
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_sizes([40.0])  # type: ignore[attr-defined] # they are of a scatter
    return figure
