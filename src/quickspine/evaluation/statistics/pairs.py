"""Compare two heads on the same seeds and the same test images.

Each head was trained once per seed and classified the same N images, so everything is paired. The
*interval* (bootstrap) generalises to other seeds and other images; the *p-value* (sign flips) asks
whether these trained models differ by more than chance over images. A claim needs both, and must
survive Holm's correction for all compared pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quickspine.evaluation.metrics import Bools
from quickspine.evaluation.statistics.intervals import Bootstrap, Interval, rule_of_three
from quickspine.evaluation.statistics.paired import McNemar, holm, mcnemar, p_value


@dataclass(frozen=True)
class Pair:
    """The first head minus the second; accuracies are shares, 0…1."""

    accuracy_difference: float  # mean over seeds
    ci95: Interval
    ci: Interval  # at `confidence`; the verdict names it
    confidence: float
    p_value: float  # of the paired test
    p_bootstrap: float  # the lowest level at which the interval excludes 0
    mcnemar: list[McNemar]  # one per seed
    error_reduction: float | None  # per cent; None where the second head makes no error
    resampled: str  # "seeds and images", or "images" where there is one seed
    differences: npt.NDArray[np.int8]  # [S, N]: first head right minus second head right

    @property
    def claim(self) -> float:
        """p-value of "the heads differ" before correction: the larger of both tests'."""
        return max(self.p_value, self.p_bootstrap)


def compare(
    first: Bools, second: Bools, *, samples: int, confidence: float, generator: np.random.Generator
) -> Pair:
    """Compare two heads.

    Args:
        first: bool [S, N]: whether that head, trained with seed s, was right on image n.
        second: the same for the other head; same seeds and images, in the same order.
        samples: bootstrap resamples.
        confidence: of the interval in the verdict.
        generator: all randomness comes from it.
    """
    differences = first.astype(np.int8) - second.astype(np.int8)
    seeds, images = differences.shape
    if differences.any():
        # Resample the better head minus the other and turn the result afterwards, so that it does
        # not depend on which of the two is called first.
        turned = bool(differences.sum(dtype=np.int64) < 0)
        bootstrap = Bootstrap(-differences if turned else differences, samples, generator)
        ci95, ci = (_turned(bootstrap.interval(level), turned) for level in (0.95, confidence))
        p_bootstrap = bootstrap.p_value()
    else:
        # No image tells the heads apart, so no resample can: rule of three.
        ci95, ci = (rule_of_three(images, level) for level in (0.95, confidence))
        p_bootstrap = 1.0
    return Pair(
        accuracy_difference=float(differences.mean()),
        ci95=ci95,
        ci=ci,
        confidence=confidence,
        p_value=p_value(differences, generator),
        p_bootstrap=p_bootstrap,
        mcnemar=[mcnemar(of_seed) for of_seed in differences],
        error_reduction=error_reduction(float(second.mean()), float(first.mean())),
        resampled="seeds and images" if seeds > 1 else "images",
        differences=differences,
    )


def _turned(interval: Interval, turned: bool) -> Interval:
    low, high = interval
    return (-high, -low) if turned else interval


def corrected(pairs: Sequence[Pair]) -> list[float]:
    """Holm-corrected p-values of the claims of all pairs."""
    return holm([pair.claim for pair in pairs])


def error_reduction(before: float, after: float) -> float | None:
    """Per cent by which `after` makes fewer errors than `before`, from accuracies.

    100 · (err_before − err_after) / err_before, as the paper has it; None where err_before is 0.
    """
    return 100 * (after - before) / (1 - before) if before < 1 else None


def verdict(pair: Pair, p_holm: float, heads: tuple[str, str]) -> str:
    """Name the better head, or none unless the corrected p-value is below 1 − confidence."""
    if p_holm < 1 - pair.confidence:
        words = f"{heads[pair.accuracy_difference < 0]} better"
    else:
        low, high = (f"{100 * end:+.2f}".replace("-", "\N{MINUS SIGN}") for end in pair.ci)
        words = f"no significant difference ({100 * pair.confidence:g} % CI {low} to {high} points)"
    one_seed = len(pair.differences) == 1
    return f"{words} (one seed: this says nothing about other seeds)" if one_seed else words
