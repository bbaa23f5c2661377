"""The charts, as matplotlib Figures: accuracy, learning curves and costs."""

from __future__ import annotations

import contextlib
import io
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator
from matplotlib.transforms import ScaledTranslation

from quickspine.evaluation.metrics import ModelRun, by_model
from quickspine.evaluation.summary import noun

INK, PAPER = "#1b1b1d", "#fefefe"
COLOURS = {
    "progressive": "#b3397a",
    "spinal": "#d9641e",
    "matched": "#8a63c9",
    "dense": "#3c83c8",
    "linear": "#4f9a5b",
}
MARKERS = {"progressive": "v", "spinal": "s", "matched": "D", "dense": "o", "linear": "^"}
COSTS = {  # name of the chart: key of a model in metrics.json, label of the axis
    "head-parameters": ("head_parameters", "parameters of the head"),
    "parameters": ("parameters", "parameters of the whole model"),
    "latency": ("latency_ms", "milliseconds per image"),
}
ASIDE = 5.0  # points (1/72 inch) between heads of equal cost
STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 10,
    "text.parse_math": False,  # a category may be called "$"
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "figure.facecolor": "none",  # a page shows through, light or dark
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


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Draw in the project's style, not the reader's matplotlibrc; never imports pyplot."""
    with matplotlib.style.context(["default", STYLE]), warnings.catch_warnings():
        # Category names appear in SVG only, where the viewer's fonts draw them.
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        yield


def svg(figure: Figure, paper: str = "none") -> str:
    """Render an SVG document on `paper`; equal figures give equal bytes (no date, fixed ids)."""
    buffer = io.StringIO()
    # Text stays text: small, and in any script that the reader's machine knows.
    with mpl.rc_context({"svg.hashsalt": "quickspine", "svg.fonttype": "none"}):
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", facecolor=paper, metadata=nothing)
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n"


def png(figure: Figure, path: Path) -> None:
    """Write a PNG of 160 dpi on paper, without the program's name and version."""
    figure.savefig(path, dpi=160, facecolor=PAPER, metadata={"Software": None})


def colour(head: str) -> str:
    """Colour of a head, the same in all charts."""
    return COLOURS.get(head, INK)


def marker(head: str) -> str:
    """Marker of a head, for readers who see no colours."""
    return MARKERS.get(head, "P")


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def curves(runs: Sequence[ModelRun]) -> Figure:
    """Validation accuracy by epoch for the runs of one stage.

    One line per head (mean over seeds) in a band from the lowest to the highest seed. Both cover
    the epochs that all seeds reached, so that a seed that stopped early does not bend the mean; a
    thin line continues each seed that trained longer.
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
    figure.legend(loc="outside upper left", ncols=3)
    return figure


def accuracy(metrics: dict[str, Any]) -> Figure:
    """Test accuracy of every model: one dot per seed, the mean with its 95 % interval."""
    models = metrics["models"]
    figure = Figure(figsize=(5.0, 1.1 + 0.72 * len(models)), layout="constrained")
    _accuracies(figure.subplots(), models)
    return figure


def _accuracies(axes: Axes, models: dict[str, Any]) -> None:
    for row, (name, model) in enumerate(models.items()):
        head, shares = name.partition("-")[2], model["accuracy"]
        ink, mean = colour(head), 100 * shares["mean"]
        low, high = (100 * end for end in shares["ci95"])
        axes.plot([low, high], [row, row], color=ink, lw=2, solid_capstyle="butt")
        axes.plot(mean, row, marker=marker(head), ms=8, color=ink)
        seeds = [100 * value for value in shares["runs"]]
        # A little below, so that the dots do not hide in the mean.
        axes.plot(seeds, [row + 0.24] * len(seeds), "o", ms=4, color=ink, alpha=0.55)
        _label(axes, f"{mean:.2f}", mean, row)
    axes.set_yticks(range(len(models)), list(models))
    axes.set_ylim(len(models) - 0.4, -0.6)
    axes.set_xlabel("test accuracy, %")
    axes.grid(axis="x")
    axes.margins(x=0.08)


def result(metrics: dict[str, Any]) -> Figure:
    """The result in one picture: accuracies, and spinal minus dense with its 95 % interval."""
    data, models, comparisons = metrics["data"], metrics["models"], metrics["comparisons"]
    columns = 2 if comparisons else 1
    figure = Figure(figsize=(9.6, 1.9 + 0.72 * len(models)), layout="constrained")
    panels = figure.subplots(1, columns, squeeze=False, width_ratios=[1.25, 1][:columns])[0]
    kind = f"synthetic {noun(data)}s" if data["synthetic"] else f"{noun(data)}s"
    figure.suptitle(
        f"{data['source']}: {data['test']:,} test {kind}, "
        f"{len(data['categories'])} categories",
        x=0.01, ha="left", fontsize=12, weight="bold",
    )  # fmt: skip
    _accuracies(panels[0], models)
    if comparisons:
        _differences(panels[1], comparisons)
    return figure


def _differences(axes: Axes, comparisons: dict[str, Any]) -> None:
    axes.axvline(0, color=INK, lw=1, ls=(0, (4, 3)))
    for row, pair in enumerate(comparisons.values()):
        middle, *ends = (100 * value for value in (pair["accuracy_difference"], *pair["ci95"]))
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
    """Write a number above its mark."""
    axes.annotate(words, (x, y), (0, 9), textcoords="offset points", ha="center")


def cost(models: Mapping[str, Mapping[str, Any]], measure: str) -> Figure:
    """Test accuracy against one of `COSTS`: one mark per head, with its 95 % interval.

    Heads of exactly equal cost (as `matched` may have) stand side by side.

    Args:
        models: the models of a stage by head, as in `metrics.json`.
        measure: a key of `COSTS`.
    """
    key, label = COSTS[measure]
    figure = Figure(figsize=(3.5, 3.2), layout="constrained")
    axes = figure.subplots()
    drawn: list[float] = []
    for head, model in models.items():
        shares, x = model["accuracy"], model[key]
        aside = ScaledTranslation(ASIDE * drawn.count(x) / 72, 0, figure.dpi_scale_trans)
        drawn.append(x)
        low, high = (100 * end for end in shares["ci95"])
        axes.update_datalim([(x, low), (x, high)])  # a shifted mark does not widen the axes itself
        look: dict[str, Any] = {"color": colour(head), "transform": axes.transData + aside}
        axes.plot([x, x], [low, high], lw=2, solid_capstyle="butt", **look)
        axes.plot([x], [100 * shares["mean"]], marker=marker(head), ms=8, ls="", label=head, **look)
    axes.set(xlabel=label, ylabel="test accuracy, %")
    axes.xaxis.set_major_locator(MaxNLocator(4))
    if measure != "latency":
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))  # 7.85k, 1.25M
    axes.margins(x=0.25, y=0.12)
    axes.grid(axis="y")
    figure.legend(loc="outside upper left", ncols=3, handletextpad=0.2, columnspacing=1.2)
    return figure
