"""Everything in evaluation/plots/: the charts as files, the tables behind them."""

from __future__ import annotations

import functools
import operator
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from quickspine.evaluation import charts, pairing, svg, tables
from quickspine.evaluation.calibration import Reliability, reliability
from quickspine.evaluation.calibration_chart import calibration
from quickspine.evaluation.category_chart import by_category
from quickspine.evaluation.comparison import by_model
from quickspine.evaluation.cost_charts import COSTS, cost
from quickspine.evaluation.heatmap import heatmap, mean_confusion
from quickspine.evaluation.metrics import Ints, ModelRun
from quickspine.evaluation.per_category import PerCategory, per_category
from quickspine.files import whole_folder

TITLES = {
    "accuracy": "Test accuracy of every model",
    "curves": "Validation accuracy by epoch, {}",
    "categories": "Test accuracy by category, {}",
    "calibration": "Right answers by confidence, {}",
    "confusion": "What {} takes for what",
    **{name: f"Test accuracy against {each.words}, {{}}" for name, each in COSTS.items()},
}


def title(name: str) -> str:
    """What the figure `name` shows, in words."""
    kind = next(kind for kind in TITLES if name == kind or name.startswith(f"{kind}-"))
    return TITLES[kind].format(name.removeprefix(kind).removeprefix("-"))


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

    Files: `history.csv`, `per-category.csv`, `calibration.csv`, `confusion.csv` (all models and
    seeds), `result.png`, and as `<name>.svg` the figures `accuracy`, for each stage
    `curves-<stage>` (where a run has a history), a `<cost>-<stage>` for each of `COSTS`,
    `categories-<stage>` (of the two heads that are held against each other),
    `calibration-<stage>`, and `confusion-<stage>-<head>` (all seeds).

    Args:
        place: the folder; what it held before is gone afterwards.
        runs: as given to `comparison.summarise`.
        labels: int [N], the true labels.
        categories: C names in label order.
        metrics: what `comparison.summarise` returned.

    Returns:
        Name to inline SVG; see `title`.
    """
    groups = by_model(runs)
    by_bin = {
        model: functools.reduce(operator.add, (reliability(run.logits, labels) for run in group))
        for model, group in groups.items()
    }
    measured = {model: per_category(group, labels) for model, group in groups.items()}
    # Not the reader's own matplotlibrc, and afterwards as before; pyplot is never imported.
    with whole_folder(place) as folder, mpl.rc_context(), warnings.catch_warnings():
        # Names of categories are in SVG only, where the reader's fonts draw them, not matplotlib's.
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        mpl.rcParams.update(defaults() | charts.STYLE)
        figures = {"accuracy": charts.accuracy(metrics)}
        for stage in pairing.stages(metrics):
            of_stage = [run for run in runs if run.stage == stage and run.history]
            figures |= _of_stage(stage, of_stage, categories, metrics, by_bin, measured)
        for model, group in groups.items():
            figures[f"confusion-{model}"] = heatmap(mean_confusion(group, labels), categories)
        tables.history(folder / "history.csv", runs)
        tables.confusions(folder / "confusion.csv", runs, labels, categories)
        tables.by_category(folder / "per-category.csv", measured, categories)
        tables.calibration(folder / "calibration.csv", by_bin)
        inline = {}
        for name, figure in figures.items():
            document = svg.text(figure, name)
            (folder / f"{name}.svg").write_text(document, encoding="utf-8")
            inline[name] = svg.inline(document, name, title(name))
        svg.png(charts.result(metrics), folder / "result.png")
    return inline


def _of_stage(
    stage: str,
    runs: Sequence[ModelRun],
    categories: Sequence[str],
    metrics: dict[str, Any],
    by_bin: dict[str, Reliability],
    measured: dict[str, PerCategory],
) -> dict[str, Figure]:
    """The figures of one stage; `runs` are those of it that have a history."""
    heads = pairing.heads(metrics, stage)
    shown = pairing.main_pair(metrics, stage) or list(heads)
    found = {}
    if runs:
        found[f"curves-{stage}"] = charts.curves(runs)
    found |= {f"{name}-{stage}": cost(heads, name) for name in COSTS}
    by_head = {head: measured[f"{stage}-{head}"] for head in shown}
    found[f"categories-{stage}"] = by_category(by_head, categories)
    found[f"calibration-{stage}"] = calibration({head: by_bin[f"{stage}-{head}"] for head in heads})
    return found
