"""Time, memory and disk of each data stage against the number of drawings.

    python -m quickspine.bench.scale --drawings 1000 10000 100000 --out bench/scale.json

The section of the bench takes doodles; the command takes the drawings of a folder mirror where
QUICKDRAW_MIRROR or --mirror names one, and as many as the disk has room for.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from quickspine.bench import growth, targets
from quickspine.bench.sections import Bench, Found
from quickspine.bench.table import table
from quickspine.errors import InputError, NoSpaceError
from quickspine.files import write_json
from quickspine.params import load

TITLE = "Data stages against the number of drawings"
FIGURES = Path("bench/scale.json")
MANY = 1_000_000  # drawings
TOGETHER = ("preprocess", "tfrecords")
Points = list[dict[str, Any]]


def measure(bench: Bench) -> Found:
    """A point a stage and number of drawings, once each: what needs more room is left out.

    Raises:
        NoSpaceError: if the disk has no room for the smallest number.
    """
    numbers, left_out = list(bench.size.scale), []
    growth.make_sure_of_room(min(numbers), bench.folder)
    for count in bench.size.scale:
        try:
            growth.make_sure_of_room(count, bench.folder)
        except NoSpaceError:
            numbers.remove(count)
            left_out.append(f"{count:,} drawings: too little room on the disk was free")
    found = points(growth.measure(bench.params, numbers, bench.folder, None))
    return {"points": found, "left_out": left_out, "together": together(found)}


def points(figures: growth.Figures) -> Points:
    """What `growth.measure` found: `stage`, `drawings`, `seconds`, `rss_mib`, `disk_mib` each."""
    return [
        {"stage": stage, "drawings": int(count), **one}
        for stage, found in figures.items()
        for count, one in found.items()
    ]


def together(found: Points) -> list[dict[str, float]]:
    """Of preprocess and tfrecords, one after the other, at each number of drawings.

    Returns:
        `drawings`, `rate` (drawings a second) and `rss_mib` (the larger one's) each.
    """
    numbers = sorted({int(point["drawings"]) for point in found})
    both = [
        [p for p in found if p["drawings"] == number and p["stage"] in TOGETHER]
        for number in numbers
    ]
    return [
        {
            "drawings": number,
            "rate": number / sum(point["seconds"] for point in points),
            "rss_mib": max(point["rss_mib"] for point in points),
        }
        for number, points in zip(numbers, both, strict=True)
    ]


def markdown(found: Found) -> str:
    """A table, and the targets: start-up is the most of what few drawings take."""
    many = [each for each in found["together"] if each["drawings"] >= MANY] or found["together"][
        -1:
    ]
    rates = [
        (targets.STAGES, f"at {each['drawings']:,}, start-up included", each["rate"])
        for each in many
    ]
    memory = [(targets.MEMORY, f"at {each['drawings']:,}", each["rss_mib"]) for each in many]
    aimed = targets.lines([*rates, *memory])
    return "\n\n".join(
        [
            "Each stage once at each number, its real front door in a process of its own, start-up "
            "included; doodles, repeated, with eight pixels changed each time. `read` opens the "
            "records, which checks every one, and reads them once in order. Memory is the most "
            "that a stage and its workers had together; disk is what it wrote.",
            lines(found["points"]),
            *(f"Left out: {each}." for each in found["left_out"]),
            f"Aimed at:\n\n{aimed}",
        ]
    )


def lines(found: Points) -> str:
    """A table with a line a point."""
    heads = ("stage", "drawings", "seconds", "drawings a second", "memory, MiB", "disk, MiB")
    rows = [
        (
            point["stage"],
            point["drawings"],
            f"{point['seconds']:,.1f}",
            round(point["drawings"] / point["seconds"]),
            round(point["rss_mib"]),
            round(point["disk_mib"]),
        )
        for point in found
    ]
    return table(heads, rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, write `--out`, print the table; exit 0 done, 2 wrong arguments or params."""
    parser = argparse.ArgumentParser(prog="python -m quickspine.bench.scale", description=__doc__)
    parser.add_argument("--params", default="params.yaml", help="default: params.yaml")
    parser.add_argument("--drawings", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--mirror", default=os.environ.get("QUICKDRAW_MIRROR"))
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--out", type=Path, default=FIGURES)
    args = parser.parse_args(arguments)
    try:
        figures = growth.measure(load(args.params), args.drawings, args.folder, args.mirror)
    except (InputError, NoSpaceError) as error:
        print(f"scale: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, InputError) else 1)
    except KeyboardInterrupt:
        sys.exit("scale: interrupted; nothing was kept")
    write_json(args.out, figures)
    print(f"{lines(points(figures))}\n{args.out}")


if __name__ == "__main__":
    main()
