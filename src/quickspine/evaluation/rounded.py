"""Numbers as metrics.json holds them: short, and equal in bytes."""

from __future__ import annotations

DIGITS = 6  # of every share: beyond the noise of any test split


def rounded(value: float, digits: int = DIGITS) -> float:
    """A share or a difference; never −0."""
    return round(value, digits) + 0.0


def rounded_p(value: float) -> float:
    """A p-value, which must not become 0 however small it is."""
    return float(f"{value:.6g}")
