"""Confidence intervals of one accuracy, and of a mean over both images and seeds."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import special

from quickspine.evaluation.metrics import Bools

CELLS = 1 << 21  # resampled counts held at once: 16 MiB
HALVINGS = 30  # of the levels between 0 and 1, in the search for a p-value

Interval = tuple[float, float]


def wilson(right: float, total: int, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a proportion (Wilson 1927), for `right` of `total` (at least 1).

    `right` may be a mean over seeds, not only a whole number.
    """
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(right, total, alpha=1 - confidence, method="wilson")
    return max(0.0, float(low)), min(1.0, float(high))


def rule_of_three(images: int, confidence: float) -> Interval:
    """Interval of a difference where none of N images differed: about ±3 / N at 95 %."""
    bound = 1 - (1 - confidence) ** (1 / images)
    return -bound, bound


def widening(seeds: int, confidence: float) -> float:
    """Factor by which the bootstrap's spread between few seeds is too narrow.

    Resampling S values gives a spread that is too small by √((S−1)/S), and its percentiles follow
    the normal distribution where Student's with S−1 degrees of freedom is due (Hesterberg 2015,
    "What teachers should know about the bootstrap"). For three seeds the plain percentile interval
    is no wider than from the worst seed to the best, which misses the truth one time in four.
    """
    if seeds < 2:
        return 1.0
    tail = (1 + confidence) / 2
    # scipy.special's quantiles skip the argument checks of scipy.stats: ten times as fast.
    student = special.stdtrit(seeds - 1, tail) / special.ndtri(tail)
    return float(student * math.sqrt(seeds / (seeds - 1)))


class Bootstrap:
    """Resamples of the mean of `scores`, integers [seeds, images], over images and seeds.

    Each resample draws N images with replacement and, apart from them, S seeds, and adds the two
    deviations from the mean. (Resampling both in one table would count the noise that belongs to
    one image with one seed three times.) Images with the same sum over the seeds are
    interchangeable, so what is resampled are counts of sums: exact, and as quick for a million
    images as for a thousand. All sums are of integers below 2⁵³, so the same generator gives the
    same bits on every machine.

    Args:
        scores: bool or int8 [S, N], S and N at least 1.
        samples: resamples.
        generator: where the randomness comes from.
    """

    def __init__(
        self, scores: npt.NDArray[np.int8] | Bools, samples: int, generator: np.random.Generator
    ) -> None:
        self.seeds, images = scores.shape
        by_seed = scores.sum(axis=1, dtype=np.int64)
        sums, counts = np.unique(scores.sum(axis=0, dtype=np.int64), return_counts=True)
        # By resample: the mean with other images, and how far other seeds move it.
        self._mean, self._move = np.empty(samples), np.empty(samples)
        step = max(1, CELLS // max(len(sums), self.seeds))
        for start in range(0, samples, step):
            part = slice(start, min(start + step, samples))
            size = part.stop - part.start
            drawn = generator.multinomial(images, counts / images, size=size)
            picked = generator.multinomial(self.seeds, np.full(self.seeds, 1 / self.seeds), size)
            self._mean[part] = (drawn @ sums) / scores.size
            self._move[part] = ((picked - 1) @ by_seed) / scores.size

    def interval(self, confidence: float) -> Interval:
        """The percentile interval, its seed part widened for few seeds; within −1…1."""
        means = self._mean + widening(self.seeds, confidence) * self._move
        low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
        return max(-1.0, float(low)), min(1.0, float(high))

    def p_value(self) -> float:
        """Two-sided p-value: the lowest level at which the interval excludes 0.

        No smaller than 2 / samples, the resolution of the resamples.
        """
        least = 2 / len(self._mean)
        low, high = least, 1.0  # excludes 0 at no level below `low`; taken to at `high`
        if self._excludes_zero(least):
            return least
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            if self._excludes_zero(middle):
                high = middle
            else:
                low = middle
        return high

    def _excludes_zero(self, level: float) -> bool:
        low, high = self.interval(1 - level)
        return low > 0 or high < 0
