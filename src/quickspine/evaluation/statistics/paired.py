"""Paired tests of two heads on the same images: McNemar's, permutation, Holm's correction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FLIPS = 99_999  # Monte-Carlo sign flips: the smallest p-value is 1e-5


@dataclass(frozen=True)
class McNemar:
    """Images of one seed that only one of the two heads got right, with the exact p-value."""

    better: int  # right by the first head alone
    worse: int  # right by the second alone
    p_value: float


def mcnemar(differences: npt.NDArray[np.int8]) -> McNemar:
    """McNemar's exact two-sided test (1947) of one seed.

    Args:
        differences: int8 [N] in −1, 0, 1: first head right minus second head right.
    """
    from statsmodels.stats.contingency_tables import mcnemar as exact

    better, worse = int((differences > 0).sum()), int((differences < 0).sum())
    # Images on which both heads agree do not enter the test, so the table needs none.
    p = float(exact([[0, better], [worse, 0]], exact=True).pvalue) if better + worse else 1.0
    return McNemar(better, worse, p)


def p_value(differences: npt.NDArray[np.int8], generator: np.random.Generator) -> float:
    """Permutation test over images, all seeds together: McNemar's test for several seeds.

    The seeds of a head answer the same images, so their tests are not independent: to combine
    their p-values as if they were (Fisher, Stouffer) would call equal heads different far too
    often. Instead an image's answers are swapped in all seeds at once.

    Args:
        differences: int8 [S, N] in −1, 0, 1: first head right minus second head right.
        generator: for the flips.

    Returns:
        Two-sided. With one seed McNemar's exact p-value; with several (b + 1) / (m + 1) for b of
        m = `FLIPS` random flips at least as far from zero.
    """
    if len(differences) == 1:
        return mcnemar(differences[0]).p_value
    by_image = differences.sum(axis=0, dtype=np.int64)
    sizes, counts = np.unique(np.abs(by_image[by_image != 0]), return_counts=True)
    flipped = np.zeros(FLIPS, np.int64)
    for size, count in zip(sizes, counts, strict=True):  # at most one round a seed
        flipped += size * (2 * generator.binomial(count, 0.5, FLIPS) - count)
    as_far = int((np.abs(flipped) >= abs(int(by_image.sum()))).sum())
    return (as_far + 1) / (FLIPS + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment (1979): the level then holds for all claims together."""
    from statsmodels.stats.multitest import multipletests

    if not p_values:
        return []
    return [float(p) for p in multipletests(list(p_values), method="holm")[1]]
