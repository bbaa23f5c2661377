"""What `examples.regression` found: the comparison, its table and its figure."""

from __future__ import annotations

import json
import math
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from scipy import stats

from quickspine.evaluation.report import charts
from quickspine.evaluation.statistics.paired import holm
from quickspine.files import whole_file

FIRST, LEVEL = "spinal", 0.05
HEADING = "## Measured\n"
COLOURS = {**charts.COLOURS, "deep": charts.COLOURS["linear"]}
MARKERS = {**charts.MARKERS, "deep": charts.MARKERS["linear"]}


def compared(errors: dict[str, dict[str, list[float]]]) -> list[dict[str, Any]]:
    """The spinal head against each other head, on every function.

    What is compared is the logarithm of the error, seed by seed: a head that is twice as good on
    an easy function counts as one that is twice as good on a hard one.

    Returns:
        A dict each: `ratio`, the geometric mean of the spinal head's error over the other's
        (below 1: the spinal head is better), `ratios` by seed, `ci95` of Student's t over the
        seeds, `p_value` of the paired t test, `p_holm` for all comparisons together, `verdict`.
    """
    found = []
    for function, by_head in errors.items():
        for other in by_head:
            if other == FIRST:
                continue
            logarithms = np.log(by_head[FIRST]) - np.log(by_head[other])
            test = stats.ttest_1samp(logarithms, 0)
            found.append(
                {
                    "function": function,
                    "heads": [FIRST, other],
                    "ratio": float(np.exp(logarithms.mean())),
                    "ratios": np.exp(logarithms).tolist(),
                    "ci95": [float(np.exp(end)) for end in test.confidence_interval(0.95)],
                    "p_value": float(test.pvalue),
                }
            )
    for one, p_holm in zip(found, holm([one["p_value"] for one in found]), strict=True):
        better = one["heads"][one["ratio"] > 1]
        claimed = p_holm < LEVEL
        one |= {"p_holm": p_holm, "verdict": f"{better} better" if claimed else "open"}
    return found


def markdown(results: dict[str, Any]) -> str:
    """Two tables: the errors, the comparisons."""
    heads, budget = results["parameters"], results["budget"]
    lines = [
        f"{budget['seeds']} seeds; {budget['train']} examples to train on, "
        f"{budget['validation']} to choose with, {budget['test']} to test on; "
        f"{budget['epochs']} epochs.\n",
        "Error on the test split: mean squared error over the variance of the function, the "
        "median over seeds and, in brackets, the lowest and the highest. 0 is perfect, 1 is what "
        "a constant reaches.\n",
        "| function | " + " | ".join(heads) + " |",
        "|---" * (len(heads) + 1) + "|",
        "| parameters | " + " | ".join(f"{count:,}" for count in heads.values()) + " |",
    ]
    for function, by_head in results["errors"].items():
        cells = [
            f"{_short(np.median(e))} ({_short(min(e))} to {_short(max(e))})"
            for e in by_head.values()
        ]
        lines.append(f"| {function} | " + " | ".join(cells) + " |")
    for function, by_head in results["rates"].items():
        cells = [f"{rate:g}" for rate in by_head.values()]
        lines.append(f"| learning rate, {function} | " + " | ".join(cells) + " |")
    lines += [
        "\nThe spinal head's error over the other's, seed by seed: geometric mean, 95 % interval "
        "of Student's t; p-values of the paired t test, and corrected for all comparisons "
        "(Holm).\n",
        "| function | against | ratio | 95 % | p | p, corrected | verdict |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in results["comparisons"]:
        low, high = one["ci95"]
        lines.append(
            f"| {one['function']} | {one['heads'][1]} | {one['ratio']:.2f} "
            f"| {low:.2f} to {high:.2f} | {_p(one['p_value'])} | {_p(one['p_holm'])} "
            f"| {one['verdict']} |"
        )
    return "\n".join([*lines, ""])


def _short(value: float) -> str:
    """Two digits that count."""
    digits = max(0, 1 - math.floor(math.log10(value))) if value > 0 else 1
    return f"{value:.{digits}f}" if digits <= 4 else f"{value:.1e}"


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "<0.001"


def figure(results: dict[str, Any]) -> Figure:
    """The ratio of every seed, with mean and interval; a panel a function."""
    functions = list(results["errors"])
    drawn = Figure(figsize=(7.2, 1.2 + 1.1 * len(functions)), layout="constrained")
    rows = drawn.subplots(len(functions), 1, sharex=True, squeeze=False)[:, 0]
    for axes, function in zip(rows, functions, strict=True):
        own = [one for one in results["comparisons"] if one["function"] == function]
        for place, one in enumerate(own):
            other = one["heads"][1]
            look = {"color": COLOURS[other], "marker": MARKERS[other]}
            axes.plot(one["ratios"], [place] * len(one["ratios"]), ls="", ms=4, alpha=0.35, **look)
            axes.plot(one["ci95"], [place] * 2, color=COLOURS[other], lw=2)
            axes.plot([one["ratio"]], [place], ms=8, **look)
        axes.axvline(1, color=charts.INK, lw=0.8)
        axes.set_yticks(range(len(own)), [f"against {one['heads'][1]}" for one in own])
        axes.set(xscale="log", ylim=(len(own) - 0.5, -0.5), title=function)
    _ticks(rows[-1], [r for one in results["comparisons"] for r in one["ratios"] + one["ci95"]])
    rows[-1].set_xlabel("the spinal head's error over the other's (left of 1: spinal is better)")
    return drawn


def _ticks(axes: Any, values: list[float]) -> None:
    """Plain numbers: powers of ten would need TeX."""
    steps = [digit * 10.0**power for power, digit in product(range(-9, 10), (1, 2, 5))]
    inside = [step for step in steps if min(values) / 1.5 < step < max(values) * 1.5]
    shown = inside if len(inside) <= 9 else [step for step in inside if f"{step:e}"[0] == "1"]
    axes.set_xticks(shown, [f"{step:g}" for step in shown])
    axes.xaxis.set_minor_locator(NullLocator())


def write(results: dict[str, Any], out: Path) -> list[Path]:
    """Write regression.json, images/regression.svg, and what is below "Measured" on the page.

    Args:
        results: what `examples.regression.run` returned.
        out: the folder; made if it is not there.

    Returns:
        What was written.
    """
    page, image = out / "regression.md", out / "images" / "regression.svg"
    image.parent.mkdir(parents=True, exist_ok=True)
    before = page.read_text(encoding="utf-8") if page.is_file() else "# Regression\n\n"
    with charts.style():
        document = charts.svg(figure(results), charts.PAPER)
    measured = f"![Errors on four functions](images/regression.svg)\n\n{markdown(results)}"
    texts = {
        out / "regression.json": json.dumps(results, indent=1) + "\n",
        image: document,
        page: f"{before.partition(HEADING)[0]}{HEADING}\n{measured}",
    }
    for place, text in texts.items():
        with whole_file(place) as partial:
            partial.write_text(text, encoding="utf-8")
    return list(texts)
