"""Down by a factor every few epochs, as the paper fine-tunes: a tenth after each seven."""

from __future__ import annotations

from dataclasses import dataclass

from quickspine.training.schedules.schedule import Schedule


@dataclass
class Stairs(Schedule):
    """Linear warm-up to `peak`; times `factor` after each `every` steps, the warm-up's included."""

    peak: float
    every: int
    factor: float
    warmup: int = 0

    def level(self, step: int) -> float:
        return self.peak * self.factor ** (step // self.every)
