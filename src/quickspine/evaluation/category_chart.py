"""Accuracy by category, of two heads side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from quickspine.evaluation.charts import colour, marker
from quickspine.evaluation.heatmap import named
from quickspine.evaluation.per_category import PerCategory

SHOWN = 30  # categories that a reader can take in


def most_apart(found: Mapping[str, PerCategory], shown: int = SHOWN) -> list[int]:
    """The categories to show: those with drawings that the heads differ most on come first.

    With one head, those that it gets wrong most. Of equal ones the lower label.
    """
    shares = np.array([each.accuracy for each in found.values()])
    gap = shares[0] - shares[1] if len(shares) > 1 else 1 - shares[0]
    order = np.argsort(np.where(np.isnan(gap), np.inf, -np.abs(gap)), kind="stable")
    return [int(category) for category in order if not np.isnan(gap[category])][:shown]


def by_category(found: Mapping[str, PerCategory], categories: Sequence[str]) -> Figure:
    """A row a category, a mark and its 95 % (Wilson) interval for each head.

    Args:
        found: one or two heads.
        categories: C names in label order.
    """
    rows = most_apart(found)
    figure = Figure(figsize=(4.8, 1.0 + 0.3 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for number, (head, each) in enumerate(found.items()):
        aside = 0.17 * (2 * number - 1) if len(found) > 1 else 0.0
        places = [row + aside for row in range(len(rows))]
        low, share, high = (100 * values[rows] for values in (each.low, each.accuracy, each.high))
        axes.hlines(places, low, high, color=colour(head), lw=1.6)
        axes.plot(share, places, marker=marker(head), ms=5, ls="", color=colour(head), label=head)
    axes.set_yticks(range(len(rows)), [named(categories[row]) for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel("test accuracy, %")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    figure.legend(loc="outside upper left", ncols=2)
    return figure
