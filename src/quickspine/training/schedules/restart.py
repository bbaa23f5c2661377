"""The paper's random restart, decided by the validation split (docs/decisions/0016-restart.md)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from quickspine.dataset.records.seeds import derive
from quickspine.training.schedules.schedule import Schedule

CHANCES = 2**31  # values of `derive`


@dataclass
class Restart(Schedule):
    """Linear warm-up to `peak`; each epoch without improvement draws the rate anew.

    An epoch improves if its validation loss is lower than that of every epoch before; an equal one
    does not, and the first always does. After one that does not, the rate is peak · U³, with U
    uniform between 0 and 1; after one that does, it stays. So three in four rates are less than
    .42 of the peak, and one in five less than a hundredth. U comes from (seed, phase, epoch):
    every head draws the same after the same epoch, and so does a training that was killed.

    Source: arXiv 2007.03347, the authors' scripts for VGG-5; there the test accuracy decided.
    """

    peak: float
    seed: int
    phase: str
    warmup: int = 0
    scale: float = field(default=1.0, init=False)
    best: float = field(default=math.inf, init=False)
    ended: int = field(default=0, init=False)  # epochs

    def level(self, step: int) -> float:
        return self.peak * self.scale

    def epoch_ended(self, validation_loss: float) -> None:
        if validation_loss < self.best:
            self.best = validation_loss
        else:
            # From the middle of its chance: never 0, which would train nothing.
            drawn = (derive(self.seed, "restart", self.phase, self.ended) + 0.5) / CHANCES
            self.scale = drawn**3
        self.ended += 1

    def state(self) -> dict[str, float]:
        return {"scale": self.scale, "best": self.best, "ended": self.ended}

    def restore(self, state: dict[str, float]) -> None:
        self.scale, self.best = state["scale"], state["best"]
        self.ended = int(state["ended"])
