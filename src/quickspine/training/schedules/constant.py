"""One rate for all steps."""

from __future__ import annotations

from dataclasses import dataclass

from quickspine.training.schedules.schedule import Schedule


@dataclass
class Constant(Schedule):
    """Linear warm-up to `peak`, and there it stays."""

    peak: float
    warmup: int = 0

    def level(self, step: int) -> float:
        return self.peak
