"""Accuracy category by category, with Wilson's interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from quickspine.evaluation.metrics import Ints, ModelRun, confusion, per_class_accuracy

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PerCategory:
    """What a model makes of each category, over its seeds.

    Args:
        drawings: int64 [C], of each category in the test split.
        accuracy: float64 [C], the mean over seeds; NaN for a category without drawings.
        low: float64 [C], the lower end of the 95 % interval; NaN as above.
        high: float64 [C], its upper end.
    """

    drawings: npt.NDArray[np.int64]
    accuracy: Floats
    low: Floats
    high: Floats


def per_category(group: Sequence[ModelRun], labels: Ints) -> PerCategory:
    """Measure the runs of one model, all seeds together.

    The interval speaks of other drawings: it counts each drawing once, however many seeds answered
    it, because the answers of several seeds to one drawing are not independent.
    """
    matrix = confusion(group[0].logits, labels)
    for run in group[1:]:
        matrix = matrix + confusion(run.logits, labels)
    drawings = matrix.sum(axis=1) // len(group)
    accuracy = per_class_accuracy(matrix)
    return PerCategory(drawings, accuracy, *wilson_of_mean(accuracy, drawings))


def wilson_of_mean(share: Floats, total: Ints, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """Wilson's interval around shares, float64 [C] each; NaN where nothing was counted.

    As `scipy.stats` has it (`statistics.wilson`), but for a mean over seeds, which need not be a
    whole number of drawings.
    """
    z = float(stats.norm.ppf((1 + confidence) / 2))
    size = np.where(total > 0, total, np.nan)
    middle = (share + z**2 / (2 * size)) / (1 + z**2 / size)
    reach = z / (1 + z**2 / size) * np.sqrt(share * (1 - share) / size + (z / (2 * size)) ** 2)
    return np.maximum(middle - reach, 0), np.minimum(middle + reach, 1)
