"""Calibration: whether predictions of 80 % confidence are right 80 % of the time.

Confidence is the highest softmax probability. Predictions are put into bins of equal width by it,
and each bin's mean confidence is compared with its accuracy (Guo et al. 2017, "On Calibration of
Modern Neural Networks").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quickspine.evaluation.metrics import ROWS, Floats, Ints, correct, ratio

BINS = 15  # as Guo et al.


@dataclass(frozen=True, eq=False)
class Reliability:
    """Counts in the bins of confidence ((b - 1) / B, b / B], the lowest first.

    Args:
        counts: int64 [B], predictions in each bin.
        confidences: float64 [B], the sum of their confidences.
        right: int64 [B], how many of them are correct.
    """

    counts: npt.NDArray[np.int64]
    confidences: npt.NDArray[np.float64]
    right: npt.NDArray[np.int64]

    @property
    def confidence(self) -> npt.NDArray[np.float64]:
        """Float64 [B]: the mean confidence in each bin; NaN in an empty one."""
        return ratio(self.confidences, self.counts)

    @property
    def accuracy(self) -> npt.NDArray[np.float64]:
        """Float64 [B]: the accuracy in each bin; NaN in an empty one."""
        return ratio(self.right, self.counts)

    @property
    def error(self) -> float:
        """Expected calibration error, 0…1: mean distance of the two, weighted by `counts`."""
        apart = np.abs(self.right - self.confidences).sum()
        return float(apart / self.counts.sum())

    def __add__(self, other: Reliability) -> Reliability:
        """Add the bins of two seeds."""
        return Reliability(
            self.counts + other.counts,
            self.confidences + other.confidences,
            self.right + other.right,
        )


def confidences(logits: Floats) -> npt.NDArray[np.float64]:
    """Float64 [N]: the highest probability of each row's softmax, above 0 and at most 1.

    A few rows at a time become float64, so that memory does not double.
    """
    found = np.empty(len(logits))
    for start in range(0, len(logits), ROWS):
        some = logits[start : start + ROWS].astype(np.float64)
        some -= some.max(axis=1, keepdims=True)  # so that exp cannot overflow
        found[start : start + ROWS] = 1 / np.exp(some).sum(axis=1)
    return found


def reliability(logits: Floats, labels: Ints, bins: int = BINS) -> Reliability:
    """Sort predictions into `bins` bins of equal width by their confidence.

    Args:
        logits: float [N, C], N at least 1.
        labels: int [N].
        bins: at least 1.
    """
    right, sure = correct(logits, labels), confidences(logits)
    inner = np.arange(1, bins) / bins
    place = np.searchsorted(inner, sure, side="left")  # a bin holds its upper edge
    return Reliability(
        np.bincount(place, minlength=bins),
        np.bincount(place, weights=sure, minlength=bins).astype(np.float64),
        np.bincount(place[right], minlength=bins),
    )


def expected_calibration_error(logits: Floats, labels: Ints, bins: int = BINS) -> float:
    """The ECE, 0…1: how far confidence and accuracy are apart, on average."""
    return reliability(logits, labels, bins).error
