"""Accuracy against what it costs: parameters, and time for a drawing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import ScaledTranslation

from quickspine.evaluation.charts import colour, marker

APART = 5.0  # points (1/72 inch) between heads that cost the same


@dataclass(frozen=True)
class Cost:
    """Something that a model costs."""

    words: str  # of the axis
    of: Callable[[Mapping[str, Any]], float]


COSTS = {
    "head-parameters": Cost("parameters of the head", lambda model: model["head_parameters"]),
    "parameters": Cost("parameters of the whole model", lambda model: model["parameters"]),
    "latency": Cost("milliseconds for one drawing", lambda model: model["latency_ms"]),
}


def cost(models: Mapping[str, Mapping[str, Any]], measure: str) -> Figure:
    """Test accuracy against one of `COSTS`: a mark a head, with its 95 % interval.

    Heads that cost exactly the same (to match is what `matched` is for) stand side by side.

    Args:
        models: the models of a stage by head, as in `metrics.json`.
        measure: a key of `COSTS`.
    """
    figure = Figure(figsize=(3.5, 3.2), layout="constrained")
    axes = figure.subplots()
    seen: list[float] = []
    for head, model in models.items():
        found, x = model["accuracy"], COSTS[measure].of(model)
        aside = ScaledTranslation(APART * seen.count(x) / 72, 0, figure.dpi_scale_trans)
        seen.append(x)
        low, high = (100 * end for end in found["ci95"])
        axes.update_datalim([(x, low), (x, high)])  # a shifted mark does not widen the axes itself
        place: dict[str, Any] = {"color": colour(head), "transform": axes.transData + aside}
        axes.plot([x, x], [low, high], lw=2, solid_capstyle="butt", **place)
        axes.plot([x], [100 * found["mean"]], marker=marker(head), ms=8, ls="", label=head, **place)
    axes.set(xlabel=COSTS[measure].words, ylabel="test accuracy, %")
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axes.margins(x=0.25, y=0.12)
    axes.grid(axis="y")
    figure.legend(loc="outside upper left", ncols=3, handletextpad=0.2, columnspacing=1.2)
    return figure


def short(value: float) -> str:
    """A number for a narrow axis: 7.9k, 1.25M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.6g}{unit}"
    return f"{value:.6g}"
