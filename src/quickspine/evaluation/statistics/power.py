"""Statistical power: detectable effects, and the seeds or images that a difference needs."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

POWER = 0.8
MAX_SEEDS = 1000
MAX_IMAGES = 100_000_000  # twice all of Quick, Draw!


@dataclass(frozen=True)
class Components:
    """Variance components of a difference: of one seed, one image, and the residual."""

    seed: float
    image: float
    rest: float

    def variance(self, seeds: int, images: int) -> float:
        """Variance of the mean over so many seeds and images."""
        return self.seed / seeds + self.image / images + self.rest / (seeds * images)


def components(differences: npt.NDArray[np.int8]) -> Components:
    """Variance components of a two-way table without replication, both ways random.

    From the mean squares of an analysis of variance, negative estimates as 0 (Searle, Casella and
    McCulloch 1992, chapter 4).

    Args:
        differences: int8 [S, N] in −1, 0, 1, N at least 2. With one seed, variance
            between seeds is unknown: it counts as 0, and the residual belongs to the images.
    """
    seeds, images = differences.shape
    by_image = differences.mean(axis=0)
    if seeds == 1:
        return Components(0.0, float(by_image.var(ddof=1)), 0.0)
    mean, by_seed = differences.mean(), differences.mean(axis=1)
    squares = float((differences.astype(np.int64) ** 2).sum())
    of_seeds = images * float(((by_seed - mean) ** 2).sum())
    of_images = seeds * float(((by_image - mean) ** 2).sum())
    left = max(0.0, squares - seeds * images * float(mean) ** 2 - of_seeds - of_images)
    rest = left / ((seeds - 1) * (images - 1))
    return Components(
        seed=max(0.0, (of_seeds / (seeds - 1) - rest) / images),
        image=max(0.0, (of_images / (images - 1) - rest) / seeds),
        rest=rest,
    )


def least_effect(parts: Components, seeds: int, images: int, level: float) -> float:
    """Smallest true difference that is found with a probability of `POWER`.

    The interval is that of `intervals.Bootstrap`: deviations of images and of seeds, the latter by
    Student's t.
    """
    by_images = (parts.image + parts.rest / seeds) / images
    half = stats.norm.isf(level / 2) ** 2 * by_images
    if seeds > 1:
        by_seeds = (parts.seed + parts.rest / images) / seeds
        half += stats.t.isf(level / 2, seeds - 1) ** 2 * by_seeds
    power = stats.norm.ppf(POWER) * math.sqrt(parts.variance(seeds, images))
    return float(math.sqrt(half) + power)


def detectable_effect(differences: npt.NDArray[np.int8], level: float) -> float | None:
    """Minimum detectable effect of a comparison, as a share; None with one image or no variance.

    Args:
        differences: int8 [S, N]: first head right minus second head right.
        level: significance level of the claim, such as 0.05; of one pair of several.
    """
    seeds, images = differences.shape
    if images < 2 or not differences.any():
        return None
    return least_effect(components(differences), seeds, images, level)


@dataclass(frozen=True)
class Needed:
    """What would detect the observed difference; None where that alone would not."""

    seeds: int | None  # with the images that there are
    images: int | None  # with the seeds that there are
    words: str


def needed(differences: npt.NDArray[np.int8], level: float) -> Needed:
    """Count the seeds, or test images, that would detect the observed difference if it is true.

    Args:
        differences: int8 [S, N]: first head right minus second head right.
        level: significance level of the claim, such as 0.05; of one pair of several.
    """
    seeds, images = differences.shape
    size = abs(float(differences.mean()))
    if not size or images < 2:
        return Needed(None, None, "no difference was observed")
    parts = components(differences)
    more_seeds = None
    if seeds > 1:
        more_seeds = _first(
            lambda count: size >= least_effect(parts, count, images, level), seeds, MAX_SEEDS
        )
    more_images = _first(
        lambda count: size >= least_effect(parts, seeds, count, level), images, MAX_IMAGES
    )
    ways = [f"{more_seeds:,} seeds per head"] if more_seeds else []
    ways += [f"{more_images:,} test images"] if more_images else []
    points, power = f"{100 * size:.2f} points", f"{100 * POWER:.0f} % power"
    if ways:
        words = f"detecting {points} with {power} needs {' or '.join(ways)}"
    else:
        words = f"neither more seeds nor more test images alone detect {points} with {power}"
    if seeds == 1:
        words += "; variance between seeds is unknown with one seed: train at least three"
    return Needed(more_seeds, more_images, words)


def _first(enough: Callable[[int], bool], start: int, most: int) -> int | None:
    """Find the smallest sufficient count from `start` to `most`; None where none is."""
    counts = range(start, most + 1)
    place = bisect_left(counts, True, key=enough)
    return counts[place] if place < len(counts) else None
