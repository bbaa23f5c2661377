"""How many images of each class each split has, as lines of text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

SHOWN = 30  # classes: of more, only those with the fewest images


def count_table(splits: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Yield a header, a line a class, and a warning for each split that lacks some classes.

    Args:
        splits: those of the subset's manifest: name to `categories`, class name to images.
    """
    counts = {
        name: [split["categories"][name] for split in splits.values()]
        for name in next(iter(splits.values()))["categories"]
    }
    shown = list(counts)
    if len(counts) > SHOWN:
        shown = sorted(counts, key=lambda name: sum(counts[name]))[:SHOWN]
        yield f"the {SHOWN} of {len(counts):,} classes with the fewest images:"
    width = max(len("class"), *map(len, shown))
    yield "  ".join([f"{'class':{width}}", *splits])
    for name in shown:
        numbers = zip(counts[name], splits, strict=True)
        yield "  ".join([f"{name:{width}}", *(f"{n:>{len(split)},}" for n, split in numbers)])
    for number, split in enumerate(splits):
        if lacking := [name for name, each in counts.items() if not each[number]]:
            names = ", ".join(map(repr, lacking[:10]))
            more = f" and {len(lacking) - 10:,} more classes" if len(lacking) > 10 else ""
            yield f"warning: {split} has no image of {names}{more}"
