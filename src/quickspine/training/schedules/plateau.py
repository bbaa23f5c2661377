"""Down by a factor when the validation loss stands still."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from quickspine.training.schedules.schedule import Schedule


@dataclass
class Plateau(Schedule):
    """Linear warm-up to `peak`, then times `factor` after `patience` epochs without a new best.

    A new best is a validation loss lower than that of every epoch before.
    """

    peak: float
    patience: int
    factor: float
    warmup: int = 0
    scale: float = field(default=1.0, init=False)
    best: float = field(default=math.inf, init=False)
    waited: int = field(default=0, init=False)

    def level(self, step: int) -> float:
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
