"""Two heads, the same seeds, the same test drawings: is one better?

Each head was trained once a seed and answered the same N drawings, so everything is paired. The
*interval* (bootstrap) asks what other seeds and other drawings would have given; the *p-value*
(sign flips) asks whether these trained models differ by more than the luck of the drawings. A
claim needs both, and must survive Holm's correction for all pairs that are looked at.
"""

from __future__ import annotations

import math
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
    ci: Interval  # at `confidence`; the verdict names its further end
    confidence: float
    p_value: float  # of the paired test
    p_bootstrap: float  # the lowest level at which the interval leaves out 0
    mcnemar: list[McNemar]  # a seed each
    error_reduction: float | None  # per cent; None where the second head makes no error
    resampled: str  # "seeds and drawings", or "drawings" where there is one seed
    differences: npt.NDArray[np.int8]  # [S, N]: first head right minus second head right

    @property
    def claim(self) -> float:
        """The p-value of "they differ", before any correction: both questions must be answered."""
        return max(self.p_value, self.p_bootstrap)


def compare(
    first: Bools, second: Bools, *, samples: int, confidence: float, generator: np.random.Generator
) -> Pair:
    """Compare two heads.

    Args:
        first: bool [S, N]: whether that head, trained with seed s, was right on drawing n.
        second: the same for the other head; same seeds and drawings, in the same order.
        samples: bootstrap resamples.
        confidence: of the interval that the verdict looks at.
        generator: all randomness comes from it.

    Raises:
        ValueError: if the shapes differ, or there is no seed or no drawing.
    """
    if first.shape != second.shape or first.ndim != 2 or not first.size:
        raise ValueError(
            "both heads need answers [seeds, drawings] of one shape. "
            f"Received: {list(first.shape)} and {list(second.shape)}"
        )
    differences = first.astype(np.int8) - second.astype(np.int8)
    seeds, drawings = differences.shape
    if differences.any():
        # Always of the better head minus the other, turned afterwards: with the same luck the same
        # answer, whichever of the two is called first.
        turned = bool(differences.sum(dtype=np.int64) < 0)
        bootstrap = Bootstrap(-differences if turned else differences, samples, generator)
        ci95, ci = (_turned(bootstrap.interval(level), turned) for level in (0.95, confidence))
        p_bootstrap = bootstrap.p_value()
    else:
        # No drawing tells the heads apart, so no resample can: the rule of three.
        ci95, ci = (rule_of_three(drawings, level) for level in (0.95, confidence))
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
        resampled="seeds and drawings" if seeds > 1 else "drawings",
        differences=differences,
    )


def _turned(interval: Interval, turned: bool) -> Interval:
    low, high = interval
    return (-high, -low) if turned else interval


def corrected(pairs: Sequence[Pair]) -> list[float]:
    """The p-values of all claims, such that their level holds for all of them together."""
    return holm([pair.claim for pair in pairs])


def error_reduction(before: float, after: float) -> float | None:
    """Per cent by which `after` makes fewer errors than `before`, from accuracies.

    100 · (err_before − err_after) / err_before, as the paper has it; None where err_before is 0.
    """
    return 100 * (after - before) / (1 - before) if before < 1 else None


def verdict(pair: Pair, p_holm: float, heads: tuple[str, str]) -> str:
    """The claim in words: "better" needs a corrected p-value below 1 − confidence."""
    seeds = len(pair.differences)
    if p_holm < 1 - pair.confidence:
        words = f"{heads[pair.accuracy_difference < 0]} better"
    else:
        points = 100 * max(abs(end) for end in pair.ci)
        digits = 1 if points >= 1 else 2
        # Rounded up: the sentence must stay true.
        bound = math.ceil(points * 10**digits - 1e-6) / 10**digits
        words = f"no difference larger than {bound:.{digits}f} points can be claimed"
    return words if seeds > 1 else f"{words} (one seed: this says nothing about other seeds)"
