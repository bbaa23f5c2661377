"""Tables in Markdown that can be read as plain text too: columns are as wide as what they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table; the first column is text, the others are numbers, to the right.

    Args:
        heads: of the columns.
        rows: of cells; a float is shown with three digits, an int with its thousands.
    """
    cells = [[str(head) for head in heads], *([cell(value) for value in row] for row in rows)]
    widths = [max(3, *(len(row[index]) for row in cells)) for index in range(len(heads))]

    def line(row: Sequence[str]) -> str:
        first, *rest = (
            text.ljust(width) if index == 0 else text.rjust(width)
            for index, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        return "| " + " | ".join([first, *rest]) + " |"

    rule = "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])])
    return "\n".join([line(cells[0]), f"|{rule}|", *map(line, cells[1:])])


def cell(value: Any) -> str:
    """A value as a table shows it."""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    text = f"{value:,}" if isinstance(value, int) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")


def rates(found: Mapping[str, Mapping[str, Any]], unit: str) -> str:
    """A table of what `turns.summary` made: median, slowest and fastest round."""
    rows = [
        (name, float(each["median"]), float(each["slowest"]), float(each["fastest"]))
        for name, each in found.items()
    ]
    return table((unit, "median", "slowest", "fastest"), rows)


def ratios(found: Mapping[str, Mapping[str, float]], what: str) -> str:
    """A table of what `turns.ratio` made."""
    rows = [
        (name, *(f"{each[part]:.2f}x" for part in ("ratio", "slowest", "fastest")))
        for name, each in found.items()
    ]
    return table((what, "of medians", "least in a round", "greatest"), rows)


def skipped(found: Mapping[str, str]) -> str:
    """A paragraph for each contestant that could not take part, after a table."""
    return "".join(f"\n\n{name} was skipped: {why}." for name, why in found.items())
