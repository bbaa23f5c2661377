"""Put a run of the bench into the docs: bench/results.json as docs/measured.md with its figures.

Sections that the run did not measure have neither figure nor table.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

from quickspine.bench import report
from quickspine.errors import InputError
from quickspine.evaluation import charts, svg
from quickspine.evaluation.figures import defaults
from quickspine.files import whole_file

RESULTS = Path("bench/results.json")
DOCS = Path("docs")
Points = list[dict[str, Any]]


def batch(sections: dict[str, Any]) -> Figure:
    """Images a second against batch size, a line a head, from the slowest to the fastest epoch."""
    width = sections["sweep"]["fixed"]["width"]
    return _heads(sections["sweep"]["batch"], f"drawings in a batch, at width {width:g}")


def width(sections: dict[str, Any]) -> Figure:
    """Images a second against width, the same."""
    size = sections["sweep"]["fixed"]["batch"]
    return _heads(sections["sweep"]["width"], f"width, in batches of {size}")


def scale(sections: dict[str, Any]) -> Figure:
    """Seconds of each stage against the number of drawings, both on log axes."""
    points: Points = sections["scale"]["points"]
    figure, axes = _figure()
    for stage in dict.fromkeys(point["stage"] for point in points):
        own = sorted((p["drawings"], p["seconds"]) for p in points if p["stage"] == stage)
        axes.plot(*zip(*own, strict=True), marker="o", ms=5, label=stage)
    axes.set(xscale="log", yscale="log", xlabel="drawings", ylabel="seconds")
    _plain(axes.xaxis, 1.0)
    _plain(axes.yaxis, 1.0)
    axes.legend(loc="upper left")
    return figure


# Name of the figure: the section that it needs, its title, and what draws it.
FIGURES: dict[str, tuple[str, str, Callable[[dict[str, Any]], Figure]]] = {
    "batch": ("sweep", "Images a second against batch size", batch),
    "width": ("sweep", "Images a second against width", width),
    "scale": ("scale", "Time of a stage against the number of drawings", scale),
}


def _figure() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.4, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.grid(which="major")
    return figure, axes


def _plain(axis: Axis, *digits: float) -> None:
    """Ticks of a log axis at `digits` times powers of ten, as 20, 5k, 1M: powers need TeX."""
    axis.set_major_locator(LogLocator(subs=digits))
    axis.set_major_formatter(EngFormatter(sep=""))
    axis.set_minor_locator(NullLocator())


def _heads(points: Points, label: str) -> Figure:
    figure, axes = _figure()
    for head in dict.fromkeys(point["head"] for point in points):
        own = [point for point in points if point["head"] == head]
        at = [point["at"] for point in own]
        colour = charts.COLOURS[head]
        low, high = ([point[end] for point in own] for end in ("slowest", "fastest"))
        axes.fill_between(at, low, high, color=colour, alpha=0.2, lw=0)
        axes.plot(at, [point["median"] for point in own], color=colour, label=f"{head} head",
                  marker=charts.MARKERS[head], ms=5)  # fmt: skip
    ticks = list(dict.fromkeys(point["at"] for point in points))
    axes.set(xscale="log", yscale="log", xlabel=label, ylabel="images a second")
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    _plain(axes.yaxis, 1.0, 2.0, 5.0)
    axes.legend()
    return figure


def write(results: dict[str, Any], docs: Path) -> list[Path]:
    """Write `docs/images/bench-<name>.svg` and `docs/measured.md`; the same run, the same bytes.

    Args:
        results: what bench/results.json holds.
        docs: the folder.

    Returns:
        What was written.
    """
    sections, written, images = results["sections"], [], []
    with mpl.rc_context():
        mpl.rcParams.update(defaults() | charts.STYLE)
        for name, (needed, title, draw) in FIGURES.items():
            if needed not in sections:
                continue
            document = svg.text(draw(sections), f"bench-{name}")
            written.append(_text(docs / "images" / f"bench-{name}.svg", document))
            images.append(f"![{title}](images/bench-{name}.svg)\n")
    page = ["# Measured\n", "By `make bench`; written by `make figures`.\n", *images]
    written.append(_text(docs / "measured.md", "\n".join([*page, report.markdown(results)])))
    return written


def _text(place: Path, text: str) -> Path:
    with whole_file(place) as partial:
        partial.write_text(text, encoding="utf-8")
    return place


def main() -> None:
    """Write both from the last run; exit 0 done, 2 where there is none."""
    parser = argparse.ArgumentParser(prog="python -m quickspine.bench.figures", description=__doc__)
    parser.parse_args()
    try:
        if not RESULTS.is_file():
            raise InputError(f"{RESULTS}: missing; run: make bench")
        written = write(json.loads(RESULTS.read_text(encoding="utf-8")), DOCS)
    except InputError as error:
        print(f"figures: {error}", file=sys.stderr)
        sys.exit(2)
    print("\n".join(map(str, written)))


if __name__ == "__main__":
    main()
