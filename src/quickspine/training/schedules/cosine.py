"""Down to zero, slowly at both ends."""

from __future__ import annotations

import math
from dataclasses import dataclass

from quickspine.training.schedules.schedule import Schedule


@dataclass
class Cosine(Schedule):
    """Linear warm-up to `peak`, then half a cosine down to zero at the last step."""

    peak: float
    steps: int
    warmup: int = 0

    def level(self, step: int) -> float:
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.peak * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
