"""Images a second against batch size and against width, with both heads."""

from __future__ import annotations

from typing import Any

from quickspine.bench import processes, table
from quickspine.bench.sections import Bench, Found
from quickspine.bench.turns import summary, tell

TITLE = "Training against batch size and width: images a second"
HEADS = ("dense", "spinal")


def measure(bench: Bench) -> Found:
    """Points of both curves: `at`, `head`, and the summary of a few short epochs."""
    size = bench.size
    tell(f"sweep: batches of {size.batches}, widths {size.widths}, both heads")
    found = processes.ours(
        "sweep", str(bench.place), "--batches", *map(str, size.batches),
        "--widths", *map(str, size.widths), "--batch", str(size.batch),
        "--width", str(size.width), "--drawings", str(size.point_drawings),
        "--rounds", str(size.point_rounds),
    )  # fmt: skip
    axes = {
        axis: [
            {"at": point["at"], "head": point["head"], **summary(point["rates"])}
            for point in found[axis]
        ]
        for axis in ("batch", "width")
    }
    fixed = {"batch": size.batch, "width": size.width}
    return {"fixed": fixed, **axes, "left_out": found["left_out"]}


def markdown(found: Found) -> str:
    """A table an axis, heads side by side."""
    fixed = found["fixed"]
    words = {
        "batch": f"At width {fixed['width']:g}, against the drawings of a batch:",
        "width": f"In batches of {fixed['batch']}, against the width:",
    }
    tables = [f"{words[axis]}\n\n{_table(axis, found[axis])}" for axis in words]
    return "\n\n".join([*tables, *(f"Left out: {each}." for each in found["left_out"])])


def _table(axis: str, points: list[dict[str, Any]]) -> str:
    rates = {(point["at"], point["head"]): point for point in points}
    rows = [
        (
            f"{at:g}",
            *(
                f"{each['median']:,.0f} ({each['slowest']:,.0f} to {each['fastest']:,.0f})"
                for each in (rates[at, head] for head in HEADS)
            ),
        )
        for at in dict.fromkeys(point["at"] for point in points)
    ]
    return table.table((axis, *(f"{head} head" for head in HEADS)), rows)
