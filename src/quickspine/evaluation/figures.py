"""Everything in evaluation/plots/: the charts as files, the tables behind them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

from quickspine.evaluation import charts, svg, tables
from quickspine.evaluation.comparison import by_model
from quickspine.evaluation.metrics import Ints, ModelRun
from quickspine.files import whole_folder

TITLES = {
    "accuracy": "Test accuracy of every model",
    "curves": "Validation accuracy by epoch",
}


def title(name: str) -> str:
    """What the figure `name` shows, in words."""
    if name in TITLES:
        return TITLES[name]
    return f"What {name.removeprefix('confusion-')} takes for what"


def defaults() -> dict[Any, Any]:
    """Matplotlib's settings but for the backend: to touch that would import pyplot."""
    names = (name for name in mpl.rcParamsDefault if "backend" not in name)
    return {name: mpl.rcParamsDefault[name] for name in names}


def write(
    place: Path,
    runs: Sequence[ModelRun],
    labels: Ints,
    categories: Sequence[str],
    metrics: dict[str, Any],
) -> dict[str, str]:
    """Fill the folder `place`, whole or not at all; the same inputs give the same bytes.

    Files: `history.csv`, `per-category.csv`, `confusion-<stage>-<head>.csv` (the answers of the
    model's first seed), `accuracy.svg`, `curves.svg` (where a run has a history),
    `confusion-<stage>-<head>.svg` (all seeds) and `result.png`.

    Args:
        place: the folder; what it held before is gone afterwards.
        runs: as given to `comparison.summarise`.
        labels: int [N], the true labels.
        categories: C names in label order.
        metrics: what `comparison.summarise` returned.

    Returns:
        Name to inline SVG, in the order in which a reader wants them; see `title`.
    """
    groups = by_model(runs)
    # Not the reader's own matplotlibrc, and afterwards as before; pyplot is never imported.
    with whole_folder(place) as folder, mpl.rc_context(), warnings.catch_warnings():
        # Names of categories are in SVG only, where the reader's fonts draw them, not matplotlib's.
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        mpl.rcParams.update(defaults() | charts.STYLE)
        figures = {"accuracy": charts.accuracy(metrics)}
        if any(run.history for run in runs):
            figures["curves"] = charts.curves([run for run in runs if run.history])
        for model, group in groups.items():
            share = charts.mean_confusion(group, labels)
            figures[f"confusion-{model}"] = charts.heatmap(share, categories)
            tables.answers(folder / f"confusion-{model}.csv", group[0], labels, categories)
        tables.history(folder / "history.csv", runs)
        tables.per_category(folder / "per-category.csv", runs, labels, categories)
        inline = {}
        for name, figure in figures.items():
            document = svg.text(figure, name)
            (folder / f"{name}.svg").write_text(document, encoding="utf-8")
            inline[name] = svg.inline(document, name, title(name))
        svg.png(charts.result(metrics), folder / "result.png")
    return inline
