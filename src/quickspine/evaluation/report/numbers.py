"""Format numbers for the report and the model card; these are filters of their templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MINUS, SPACE = "\N{MINUS SIGN}", "\N{NO-BREAK SPACE}"


def count(value: int) -> str:
    """A whole number: 12,345."""
    return f"{value:,}"


def percent(share: float) -> str:
    """A share in per cent, without the sign: 97.61."""
    return f"{100 * share:.2f}"


def points(share: float) -> str:
    """A difference of shares in points, with its sign: +0.25."""
    return f"{round(100 * share, 2) + 0.0:+.2f}".replace("-", MINUS)


def signed(value: float) -> str:
    """A number that may be negative, with one digit: −3.1."""
    return f"{round(value, 1) + 0.0:,.1f}".replace("-", MINUS)


def p(value: float) -> str:
    """A p-value: 0.031."""
    return f"<{SPACE}0.0001" if value < 1e-4 else f"{value:.2g}"


def spread(values: Mapping[str, Any]) -> str:
    """Mean ± standard deviation of shares, in per cent; with one seed the mean alone."""
    several_runs = len(values["runs"]) > 1
    return percent(values["mean"]) + (f" ± {percent(values['std'])}" if several_runs else "")


def interval(ends: Sequence[float]) -> str:
    """An interval of shares in per cent: 97.1 to 98.0."""
    return f"{percent(ends[0])} to {percent(ends[1])}"


def difference(ends: Sequence[float]) -> str:
    """An interval of differences in points: −0.3 to +1.2."""
    return f"{points(ends[0])} to {points(ends[1])}"


def mebibytes(size: int) -> str:
    """Bytes in MiB: 1.25."""
    return f"{size / 2**20:,.2f}"


def time(value: float) -> str:
    """Seconds or milliseconds: 1,234.56."""
    return f"{value:,.2f}"


def several(number: int, one: str, more: str | None = None) -> str:
    """A number with its noun: "one seed", "3 seeds"."""
    return f"one {one}" if number == 1 else f"{number:,} {more or one + 's'}"


FILTERS = {
    each.__name__: each
    for each in (
        count, percent, points, signed, p, spread, interval, difference, mebibytes, time, several,
    )
}  # fmt: skip
