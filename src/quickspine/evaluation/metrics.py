"""What one trained model's answers on the test split are worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    """Milliseconds to answer."""

    median_ms: float
    p95_ms: float  # 95 % of the answers took no longer


@dataclass(frozen=True)
class Costs:
    """What a model costs.

    Args:
        parameters: trainable ones of the whole model.
        head_parameters: of the head alone.
        multiplications: multiply-adds for one drawing, of convolutions and linear layers.
        head_multiplications: of the head alone.
        weights_bytes: of all weights in float32.
        activations_bytes: the most that one layer reads and makes of one drawing, in float32.
        latency: by the number of drawings at once; at least for 1.
        training_seconds: what its training took; None where it was not trained here.
    """

    parameters: int
    head_parameters: int
    multiplications: int
    head_multiplications: int
    weights_bytes: int
    activations_bytes: int
    latency: Mapping[int, Latency]
    training_seconds: float | None = None


@dataclass(frozen=True, eq=False)
class ModelRun:
    """One trained model, and what it answered on the test split.

    Args:
        stage: how it was trained: "train" (from random weights) or "finetune".
        head: the name of its head.
        seed: the seed it was trained with.
        logits: float32 [N, C], one row a test drawing, in the order of the labels.
        costs: what it costs.
        validation_accuracy: of its best epoch, 0…1: what it was chosen by.
        history: one mapping an epoch, in order, with `epoch`, `loss`, `accuracy`, `val_loss`,
            `val_accuracy` and `learning_rate`; what is missing or None is left out of the plots.

    Raises:
        InputError: if a logit is not finite: the training diverged.
        ValueError: if `logits` is not a float array [N, C].
    """

    stage: Literal["train", "finetune"]
    head: str
    seed: int
    logits: Floats
    costs: Costs
    validation_accuracy: float
    history: Sequence[Mapping[str, Any]]

    def __post_init__(self) -> None:
        if self.logits.ndim != 2 or not np.issubdtype(self.logits.dtype, np.floating):
            received = f"{self.logits.dtype} {list(self.logits.shape)}"
            raise ValueError(f"logits must be float32 [N, C]. Received: {received}")
        if not np.isfinite(self.logits).all():
            raise InputError(
                f"models/{self.name}: its answers hold NaN or infinity, so its training diverged; "
                f"lower {self.stage}.learning_rate"
            )

    @property
    def model(self) -> str:
        """`<stage>-<head>`: what the runs of all seeds have in common."""
        return f"{self.stage}-{self.head}"

    @property
    def name(self) -> str:
        """`<stage>-<head>-<seed>`, as the folder under models/."""
        return f"{self.model}-{self.seed}"


def _check(logits: Floats, labels: Ints) -> None:
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not labels.size:
        raise ValueError(
            "logits [N, C] and labels [N] must agree, with N ≥ 1. "
            f"Received: {list(logits.shape)} and {list(labels.shape)}"
        )
    if labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise ValueError(
            f"labels must be in 0…{logits.shape[1] - 1}. Received: {labels.min()}…{labels.max()}"
        )


def correct(logits: Floats, labels: Ints) -> Bools:
    """Bool [N]: whether the highest logit is the label's (of equals, the first counts)."""
    _check(logits, labels)
    right: Bools = logits.argmax(axis=1) == labels
    return right


def accuracy(logits: Floats, labels: Ints) -> float:
    """The share of right answers, 0…1. Raises ValueError if the shapes disagree."""
    return float(correct(logits, labels).mean())


def top_k_accuracy(logits: Floats, labels: Ints, k: int) -> float:
    """The share of drawings whose label is among the `k` highest logits, 0…1.

    Of equal logits the one with the lower label ranks higher, so that k = 1 is `accuracy`.
    """
    _check(logits, labels)
    own = np.take_along_axis(logits, labels[:, None], axis=1)
    earlier = np.arange(logits.shape[1]) < labels[:, None]
    rank = ((logits > own) | ((logits == own) & earlier)).sum(axis=1)
    return float((rank < k).mean())


def loss(logits: Floats, labels: Ints) -> float:
    """Mean cross-entropy in nats, in float64 and without overflow."""
    _check(logits, labels)
    total = 0.0
    for start in range(0, len(labels), ROWS):
        part = slice(start, start + ROWS)
        some = logits[part].astype(np.float64)
        own = np.take_along_axis(some, labels[part, None], axis=1)[:, 0]
        total += float((logsumexp(some, axis=1) - own).sum())
    return total / len(labels)


def confusion(logits: Floats, labels: Ints) -> npt.NDArray[np.int64]:
    """Int [C, C]: drawings by true label (rows) and by answer (columns)."""
    _check(logits, labels)
    classes = logits.shape[1]
    pairs = labels.astype(np.int64) * classes + logits.argmax(axis=1)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def per_class_accuracy(matrix: Ints) -> npt.NDArray[np.float64]:
    """Float64 [C] from a confusion matrix [C, C]; NaN for a class without drawings."""
    shown = matrix.sum(axis=1)
    share = np.full(len(matrix), np.nan)
    np.divide(np.diagonal(matrix), shown, out=share, where=shown > 0)
    return share
