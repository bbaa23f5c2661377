"""Learning rates: warm-up, then cosine, or a plateau watched on the validation split."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol


class Schedule(Protocol):
    """A learning rate for every step; `epoch_ended` lets it look at the validation loss."""

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0 over all epochs."""

    def epoch_ended(self, validation_loss: float) -> None:
        """Tell how an epoch ended."""

    def state(self) -> dict[str, float]:
        """What it has learnt from the epochs so far."""

    def restore(self, state: dict[str, float]) -> None:
        """Go on from `state`."""


@dataclass
class Cosine:
    """Linear warm-up to `peak`, then half a cosine down to zero at the last step."""

    peak: float
    steps: int
    warmup: int = 0

    def rate(self, step: int) -> float:
        if step < self.warmup:
            return self.peak * (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.peak * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

    def epoch_ended(self, validation_loss: float) -> None:
        """Nothing to learn: the course is fixed."""

    def state(self) -> dict[str, float]:
        return {}

    def restore(self, state: dict[str, float]) -> None:
        """Nothing was learnt."""


@dataclass
class Plateau:
    """Linear warm-up to `peak`, then times `factor` after `patience` epochs without a new best."""

    peak: float
    patience: int
    factor: float
    warmup: int = 0
    scale: float = field(default=1.0, init=False)
    best: float = field(default=math.inf, init=False)
    waited: int = field(default=0, init=False)

    def rate(self, step: int) -> float:
        if step < self.warmup:
            return self.peak * self.scale * (step + 1) / self.warmup
        return self.peak * self.scale

    def epoch_ended(self, validation_loss: float) -> None:
        if validation_loss < self.best:
            self.best, self.waited = validation_loss, 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            self.scale *= self.factor
            self.waited = 0

    def state(self) -> dict[str, float]:
        return {"scale": self.scale, "best": self.best, "waited": self.waited}

    def restore(self, state: dict[str, float]) -> None:
        self.scale, self.best = state["scale"], state["best"]
        self.waited = int(state["waited"])
