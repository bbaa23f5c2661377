"""Measures of one trained model's logits on the test split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from quickspine.errors import InputError

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.integer[Any]]
Bools = npt.NDArray[np.bool_]

ROWS = 4096  # turned into float64 at once


@dataclass(frozen=True)
class Latency:
    """Milliseconds per forward pass."""

    median_ms: float
    p95_ms: float  # 95 % of the passes took no longer


@dataclass(frozen=True)
class Costs:
    """What a network costs; equal for all seeds of a head.

    Args:
        parameters: trainable ones of the whole model.
        head_parameters: of the head alone.
        multiplications: multiply-adds for one image, of convolutions and linear layers.
        head_multiplications: of the head alone.
        weights_bytes: of all weights in float32.
        activations_bytes: largest inputs plus outputs of one layer for one image, in float32.
        latency: by batch size; at least for 1.
    """

    parameters: int
    head_parameters: int
    multiplications: int
    head_multiplications: int
    weights_bytes: int
    activations_bytes: int
    latency: Mapping[int, Latency]


@dataclass(frozen=True, eq=False)
class ModelRun:
    """One trained model and its logits on the test split.

    Args:
        stage: "train" (from random weights) or "finetune".
        head: the name of its head.
        seed: the seed it was trained with.
        logits: float32 [N, C], one row per test image, in the order of the labels.
        costs: of its network.
        validation_accuracy: of its best epoch, 0…1: what it was chosen by.
        history: one mapping per epoch, in order, with `epoch`, `loss`, `accuracy`, `val_loss`,
            `val_accuracy` and `learning_rate`; missing values and None are left out of the plots.
        training_seconds: of the training loop; None where it was not trained here.

    Raises:
        InputError: if a logit is not finite: the training diverged.
    """

    stage: Literal["train", "finetune"]
    head: str
    seed: int
    logits: Floats
    costs: Costs
    validation_accuracy: float
    history: Sequence[Mapping[str, Any]]
    training_seconds: float | None = None

    def __post_init__(self) -> None:
        if not np.isfinite(self.logits).all():
            raise InputError(
                f"models/{self.name}: predicts NaN or infinity, so its training diverged; "
                f"lower {self.stage}.learning_rate"
            )

    @property
    def model(self) -> str:
        """`<stage>-<head>`: shared by the runs of all seeds."""
        return f"{self.stage}-{self.head}"

    @property
    def name(self) -> str:
        """`<stage>-<head>-<seed>`, as the folder under models/."""
        return f"{self.model}-{self.seed}"


def by_model(runs: Iterable[ModelRun]) -> dict[str, list[ModelRun]]:
    """Group runs by `<stage>-<head>`, keeping their order."""
    groups: dict[str, list[ModelRun]] = {}
    for run in runs:
        groups.setdefault(run.model, []).append(run)
    return groups


def correct(logits: Floats, labels: Ints) -> Bools:
    """Bool [N]: whether the highest logit is the label's (the first of equals counts)."""
    right: Bools = logits.argmax(axis=1) == labels
    return right


def top_k_accuracy(logits: Floats, labels: Ints, k: int) -> float:
    """Share of images whose label is among the `k` highest logits, 0…1.

    Of equal logits the lower label ranks higher, so that k = 1 is the accuracy.
    """
    own = np.take_along_axis(logits, labels[:, None], axis=1)
    earlier = np.arange(logits.shape[1]) < labels[:, None]
    rank = ((logits > own) | ((logits == own) & earlier)).sum(axis=1)
    return float((rank < k).mean())


def loss(logits: Floats, labels: Ints) -> float:
    """Mean cross-entropy in nats, in float64 and without overflow."""
    total = 0.0
    for start in range(0, len(labels), ROWS):
        part = slice(start, start + ROWS)
        some = logits[part].astype(np.float64)
        own = np.take_along_axis(some, labels[part, None], axis=1)[:, 0]
        total += float((logsumexp(some, axis=1) - own).sum())
    return total / len(labels)


def confusion(logits: Floats, labels: Ints) -> npt.NDArray[np.int64]:
    """Confusion matrix, int64 [C, C]: images by true label (rows) and prediction (columns)."""
    classes = logits.shape[1]
    pairs = labels.astype(np.int64) * classes + logits.argmax(axis=1)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def ratio(parts: Any, totals: Any) -> npt.NDArray[np.float64]:
    """Float64 in the shape of `parts`: each by its total; NaN where that is 0."""
    totals = np.broadcast_to(totals, np.shape(parts))
    found = np.full(totals.shape, np.nan)
    np.divide(parts, totals, out=found, where=totals > 0)
    return found


@dataclass(frozen=True, eq=False)
class PerCategory:
    """Accuracy of one model by category, over its seeds.

    Args:
        images: int64 [C], test images of each category.
        accuracy: float64 [C], the mean over seeds; NaN for a category without images.
        low: float64 [C], the lower end of the 95 % (Wilson) interval; NaN as above.
        high: float64 [C], its upper end.
    """

    images: npt.NDArray[np.int64]
    accuracy: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]


def per_category(group: Sequence[ModelRun], labels: Ints) -> PerCategory:
    """Measure the runs of one model, all seeds together.

    The interval is for other images: each image counts once, however many seeds classified it,
    because predictions of several seeds for one image are not independent.
    """
    from statsmodels.stats.proportion import proportion_confint

    matrix = np.sum([confusion(run.logits, labels) for run in group], axis=0)
    images = matrix.sum(axis=1) // len(group)
    accuracy = ratio(np.diagonal(matrix), matrix.sum(axis=1))
    size = np.where(images > 0, images, np.nan)
    low, high = proportion_confint(accuracy * size, size, method="wilson")
    return PerCategory(images, accuracy, np.maximum(low, 0), np.minimum(high, 1))
