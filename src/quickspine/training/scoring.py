"""How good a network is on a split."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from quickspine.training.step import Step


def logits_of(forward: Step, data: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """All logits (float32 [n, classes]) and labels (int64 [n]) of a tf.data.Dataset, in order."""
    logits, labels = [], []
    for inputs, answers in data:
        logits.append(forward(inputs).numpy())
        labels.append(answers.numpy())
    return np.concatenate(logits), np.concatenate(labels)


def score(forward: Step, data: Any) -> tuple[float, float]:
    """Mean cross-entropy (nats) and accuracy of a split."""
    logits, labels = logits_of(forward, data)
    wide = logits.astype(np.float64)
    with np.errstate(invalid="ignore"):  # of infinite logits; the loss is no number then
        wide -= wide.max(axis=1, keepdims=True)
    loss = np.log(np.exp(wide).sum(axis=1)) - wide[np.arange(len(labels)), labels]
    return float(loss.mean()), float((logits.argmax(axis=1) == labels).mean())
