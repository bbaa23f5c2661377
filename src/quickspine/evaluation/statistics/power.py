"""How many seeds or drawings it would take to settle what is still open."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

POWER = 0.8  # the chance to settle it that is asked for
MAX_SEEDS = 1000  # nobody trains more
MAX_DRAWINGS = 100_000_000  # twice all of Quick, Draw!


@dataclass(frozen=True)
class Components:
    """Where a difference's variance comes from: for one seed, one drawing, and what is left."""

    seed: float
    drawing: float
    rest: float

    def variance(self, seeds: int, drawings: int) -> float:
        """Of the mean over so many seeds and drawings."""
        return self.seed / seeds + self.drawing / drawings + self.rest / (seeds * drawings)


def components(differences: npt.NDArray[np.int8]) -> Components:
    """Variance components of a two-way table without replication, both ways random.

    From the mean squares of an analysis of variance, negative estimates as 0 (Searle, Casella and
    McCulloch 1992, chapter 4).

    Args:
        differences: int8 [S, N] in −1, 0, 1, N at least 2. With one seed nothing can be known of
            seeds: their part is 0, and what is left belongs to the drawings.
    """
    seeds, drawings = differences.shape
    by_drawing = differences.mean(axis=0)
    if seeds == 1:
        return Components(0.0, float(by_drawing.var(ddof=1)), 0.0)
    mean, by_seed = differences.mean(), differences.mean(axis=1)
    squares = float((differences.astype(np.int64) ** 2).sum())
    of_seeds = drawings * float(((by_seed - mean) ** 2).sum())
    of_drawings = seeds * float(((by_drawing - mean) ** 2).sum())
    left = max(0.0, squares - seeds * drawings * float(mean) ** 2 - of_seeds - of_drawings)
    rest = left / ((seeds - 1) * (drawings - 1))
    return Components(
        seed=max(0.0, (of_seeds / (seeds - 1) - rest) / drawings),
        drawing=max(0.0, (of_drawings / (drawings - 1) - rest) / seeds),
        rest=rest,
    )


def settles(found: Components, size: float, seeds: int, drawings: int, level: float) -> bool:
    """Whether a true difference of `size` would be found with the chance `POWER`.

    The interval is that of `intervals.Bootstrap`: deviations of drawings and of seeds, the latter
    by Student's t.
    """
    by_drawings = (found.drawing + found.rest / seeds) / drawings
    half = stats.norm.isf(level / 2) ** 2 * by_drawings
    if seeds > 1:
        by_seeds = (found.seed + found.rest / drawings) / seeds
        half += stats.t.isf(level / 2, seeds - 1) ** 2 * by_seeds
    needed = math.sqrt(half) + stats.norm.ppf(POWER) * math.sqrt(found.variance(seeds, drawings))
    return bool(size >= needed)


@dataclass(frozen=True)
class Needed:
    """What would settle a comparison; None where that alone would not."""

    seeds: int | None  # with the drawings that there are
    drawings: int | None  # with the seeds that there are
    words: str


def needed(differences: npt.NDArray[np.int8], level: float) -> Needed:
    """How many seeds, or test drawings, would tell the heads apart if they differ as they seem to.

    Args:
        differences: int8 [S, N]: first head right minus second head right.
        level: of the claim, such as 0.05; that of one pair of many.
    """
    seeds, drawings = differences.shape
    size = abs(float(differences.mean()))
    if not size or drawings < 2:
        return Needed(None, None, "no difference was seen, so no number would settle one")
    found = components(differences)
    points = f"{100 * size:.2f} points"
    more_seeds = None
    if seeds > 1:
        more_seeds = _first(
            lambda count: settles(found, size, count, drawings, level), seeds, MAX_SEEDS
        )
    more_drawings = _first(
        lambda count: settles(found, size, seeds, count, level), drawings, MAX_DRAWINGS
    )
    ways = [f"{more_seeds:,} seeds a head"] if more_seeds else []
    ways += [f"{more_drawings:,} test drawings"] if more_drawings else []
    if ways:
        ways_out = " or ".join(ways)
        words = f"if the heads differ by {points}, {ways_out} would settle it four times in five"
    else:
        words = f"neither more seeds nor more drawings alone would settle a difference of {points}"
    if seeds == 1:
        words += "; one seed cannot tell how much seeds matter: train at least three"
    return Needed(more_seeds, more_drawings, words)


def _first(enough: Callable[[int], bool], start: int, most: int) -> int | None:
    """The smallest count from `start` to `most` that is enough; None where none is."""
    if not enough(most):
        return None
    low, high = start - 1, most  # not enough, or not allowed, at `low`
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
