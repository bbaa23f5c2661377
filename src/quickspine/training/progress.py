"""How far a training is: with the state of network and optimizer, all that decides the rest."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Epoch = dict[str, float]  # epoch, loss, accuracy, val_loss, val_accuracy, learning_rate
Weights = list[NDArray[Any]]


@dataclass
class Progress:
    """The course of a training so far.

    Attributes:
        epoch: the one that goes on, from 0.
        before: steps of the epochs that ended.
        results: of its steps so far: mean loss over the batch, drawings right, drawings. They stay
            where the device put them until somebody reads them: reading would wait for the step.
        history: the entries of the epochs that ended.
        best: the best of them by validation, and `weights`, the network's at its end.
        waited: epochs without a better validation accuracy.
        stopped: whether early stopping ended it.
        seconds: what it took until it was last kept, earlier processes included.
    """

    epoch: int = 0
    before: int = 0
    results: list[Sequence[Any]] = field(default_factory=list)
    history: list[Epoch] = field(default_factory=list)
    best: Epoch = field(default_factory=dict)
    weights: Weights = field(default_factory=list)
    waited: int = 0
    stopped: bool = False
    seconds: float = 0.0

    @property
    def steps(self) -> int:
        """How many steps of the epoch are done."""
        return len(self.results)

    @property
    def total(self) -> int:
        """How many steps are done, and noted, from the start."""
        return self.before + self.steps

    def end_epoch(
        self, validation: tuple[float, float], rate: float, weights: Callable[[], Weights]
    ) -> Epoch:
        """Close the epoch and begin the next; keep the weights where they are the best so far.

        Args:
            validation: loss and accuracy.
            rate: the learning rate of the last step.
            weights: gives the network's.

        Returns:
            The epoch's entry.

        Raises:
            FloatingPointError: if a loss is no number; nothing has changed then.
        """
        val_loss, val_accuracy = validation
        losses, hits, sizes = zip(*self.results, strict=True)
        entry = {
            "epoch": self.epoch + 1,
            "loss": float(np.mean(np.array([float(loss) for loss in losses]))),
            "accuracy": sum(int(hit) for hit in hits) / sum(int(size) for size in sizes),
            "val_loss": val_loss,
            "val_accuracy": val_accuracy,
            "learning_rate": rate,
        }
        if not math.isfinite(entry["loss"] + val_loss):
            raise FloatingPointError(f"the loss is no number any more in epoch {self.epoch + 1}")
        higher = not self.best or val_accuracy > self.best["val_accuracy"]
        self.waited = 0 if higher else self.waited + 1
        if not self.best or merit(entry) > merit(self.best):
            self.best, self.weights = entry, weights()
        self.history.append(entry)
        self.epoch, self.before = self.epoch + 1, self.before + self.steps
        self.results = []
        return entry


def merit(entry: Epoch) -> tuple[float, float]:
    """What decides between two epochs: validation accuracy, then validation loss."""
    return entry["val_accuracy"], -entry["val_loss"]
