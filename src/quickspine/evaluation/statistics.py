"""Two heads, the same seeds, the same test drawings: is one better?

Each head was trained once a seed and answered the same N drawings, so everything is paired. The
*interval* (bootstrap) asks what other seeds and other drawings would have given; the *p-value*
(sign flips) asks whether these trained models differ by more than the luck of the drawings. A
claim needs both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from quickspine.evaluation.metrics import Bools

FLIPS = 99_999  # Monte-Carlo sign flips: the smallest p-value is 1e-5
CELLS = 1 << 21  # resampled counts held at once: 16 MiB

Interval = tuple[float, float]


@dataclass(frozen=True)
class Comparison:
    """Spinal minus dense; accuracies are shares, 0…1."""

    accuracy_difference: float  # mean over seeds
    ci95: Interval
    ci: Interval  # at `confidence`; the verdict looks at this one
    confidence: float
    p_value: float
    error_reduction: float | None  # per cent; None where the dense head makes no error
    verdict: str
    resampled: str  # "seeds and drawings", or "drawings" where there is one seed


def wilson(right: int, total: int, confidence: float = 0.95) -> Interval:
    """Wilson's interval of a proportion, for `right` of `total` (at least 1)."""
    found = stats.binomtest(right, total).proportion_ci(confidence, method="wilson")
    return float(found.low), float(found.high)


def widening(seeds: int, confidence: float) -> float:
    """By how much the spread between few seeds must be stretched.

    Resampling S values gives a spread that is too small by √((S−1)/S), and its percentiles follow
    the normal distribution where Student's with S−1 degrees of freedom is due (Hesterberg 2015,
    "What teachers should know about the bootstrap"). For three seeds the plain percentile interval
    is no wider than from the worst seed to the best, which misses the truth one time in four.
    """
    if seeds < 2:
        return 1.0
    tail = (1 + confidence) / 2
    student = stats.t.ppf(tail, seeds - 1) / stats.norm.ppf(tail)
    return float(student * math.sqrt(seeds / (seeds - 1)))


class Bootstrap:
    """Resamples of the mean of `scores`, integers [seeds, drawings], over drawings and seeds.

    Each resample draws N drawings with replacement and, apart from them, S seeds, and adds the two
    deviations from the mean. (Resampling both in one table would count the noise that belongs to
    one drawing with one seed three times.) Drawings with the same sum over the seeds are
    interchangeable, so what is resampled are counts of sums: exact, and as quick for a million
    drawings as for a thousand. All sums are of integers below 2⁵³, so the same generator gives the
    same bits on every machine.

    Args:
        scores: bool or int8 [S, N], S and N at least 1.
        samples: resamples.
        generator: where the randomness comes from.
    """

    def __init__(
        self, scores: npt.NDArray[np.int8] | Bools, samples: int, generator: np.random.Generator
    ) -> None:
        self.seeds, drawings = scores.shape
        by_seed = scores.sum(axis=1, dtype=np.int64)
        sums, counts = np.unique(scores.sum(axis=0, dtype=np.int64), return_counts=True)
        # By resample: the mean with other drawings, and how far other seeds move it.
        self._mean, self._move = np.empty(samples), np.empty(samples)
        step = max(1, CELLS // max(len(sums), self.seeds))
        for start in range(0, samples, step):
            part = slice(start, min(start + step, samples))
            size = part.stop - part.start
            drawn = generator.multinomial(drawings, counts / drawings, size=size)
            picked = generator.multinomial(self.seeds, np.full(self.seeds, 1 / self.seeds), size)
            self._mean[part] = (drawn @ sums) / scores.size
            self._move[part] = ((picked - 1) @ by_seed) / scores.size

    def interval(self, confidence: float) -> Interval:
        """The percentile interval, its seed part widened for few seeds; within −1…1."""
        means = self._mean + widening(self.seeds, confidence) * self._move
        low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
        return max(-1.0, float(low)), min(1.0, float(high))


def p_value(differences: npt.NDArray[np.int8], generator: np.random.Generator) -> float:
    """Two-sided paired test: would swapping the heads' answers, by drawing, change the sum?

    Args:
        differences: int8 [S, N] in −1, 0, 1: spinal right minus dense right.
        generator: for the flips.

    Returns:
        With one seed McNemar's exact p-value. With several, a drawing's answers are swapped over
        all seeds at once (its seeds are not independent): (b + 1) / (m + 1) for b of m = `FLIPS`
        random flips at least as far from zero.
    """
    by_drawing = differences.sum(axis=0, dtype=np.int64)
    if len(differences) == 1:
        won, lost = int((by_drawing > 0).sum()), int((by_drawing < 0).sum())
        return float(stats.binomtest(won, won + lost).pvalue) if won + lost else 1.0
    sizes, counts = np.unique(np.abs(by_drawing[by_drawing != 0]), return_counts=True)
    flipped = np.zeros(FLIPS, np.int64)
    for size, count in zip(sizes, counts, strict=True):  # at most one round a seed
        flipped += size * (2 * generator.binomial(count, 0.5, FLIPS) - count)
    as_far = int((np.abs(flipped) >= abs(int(by_drawing.sum()))).sum())
    return (as_far + 1) / (FLIPS + 1)


def verdict(interval: Interval, p: float, confidence: float, seeds: int) -> str:
    """The claim in words: it needs an interval without 0 and p below 1 − confidence."""
    if p < 1 - confidence and interval[0] > 0:
        words = "spinal better"
    elif p < 1 - confidence and interval[1] < 0:
        words = "dense better"
    else:
        points = 100 * max(abs(end) for end in interval)
        digits = 1 if points >= 1 else 2
        # Rounded up: the sentence must stay true.
        bound = math.ceil(points * 10**digits - 1e-6) / 10**digits
        words = f"no difference larger than {bound:.{digits}f} points can be claimed"
    return words if seeds > 1 else f"{words} (one seed: this says nothing about other seeds)"


def _turned(interval: Interval, turned: bool) -> Interval:
    low, high = interval
    return (-high, -low) if turned else interval


def _rule_of_three(drawings: int, confidence: float) -> Interval:
    """What may still differ where none of so many drawings differed: about ±3 / N at 95 %."""
    bound = 1 - (1 - confidence) ** (1 / drawings)
    return -bound, bound


def error_reduction(dense: float, spinal: float) -> float | None:
    """Per cent by which the spinal head's error is below the dense head's, from accuracies.

    100 · (err_dense − err_spinal) / err_dense, as the paper has it; None where err_dense is 0.
    """
    return 100 * (spinal - dense) / (1 - dense) if dense < 1 else None


def compare(
    dense: Bools, spinal: Bools, *, samples: int, confidence: float, generator: np.random.Generator
) -> Comparison:
    """Compare two heads.

    Args:
        dense: bool [S, N]: whether the dense head, trained with seed s, was right on drawing n.
        spinal: the same for the spinal head; same seeds and drawings, in the same order.
        samples: bootstrap resamples.
        confidence: of the interval that the verdict looks at; the test's level is 1 − confidence.
        generator: all randomness comes from it.

    Raises:
        ValueError: if the shapes differ, or there is no seed or no drawing.
    """
    if dense.shape != spinal.shape or dense.ndim != 2 or not dense.size:
        raise ValueError(
            "both heads need answers [seeds, drawings] of one shape. "
            f"Received: {list(dense.shape)} and {list(spinal.shape)}"
        )
    differences = spinal.astype(np.int8) - dense.astype(np.int8)
    seeds, drawings = differences.shape
    if differences.any():
        # Always of the better head minus the other, turned afterwards: with the same luck the same
        # answer, whichever of the two is called spinal.
        turned = bool(differences.sum(dtype=np.int64) < 0)
        bootstrap = Bootstrap(-differences if turned else differences, samples, generator)
        ci95, ci = (_turned(bootstrap.interval(level), turned) for level in (0.95, confidence))
    else:
        # No drawing tells the heads apart, so no resample can: the rule of three.
        ci95, ci = (_rule_of_three(drawings, level) for level in (0.95, confidence))
    p = p_value(differences, generator)
    return Comparison(
        accuracy_difference=float(differences.mean()),
        ci95=ci95,
        ci=ci,
        confidence=confidence,
        p_value=p,
        error_reduction=error_reduction(float(dense.mean()), float(spinal.mean())),
        verdict=verdict(ci, p, confidence, seeds),
        resampled="seeds and drawings" if seeds > 1 else "drawings",
    )
