"""What every schedule is: a learning rate a step, after a linear warm-up."""

from __future__ import annotations

from abc import ABC, abstractmethod


class Schedule(ABC):
    """A learning rate for every step; `epoch_ended` lets it look at the validation loss.

    Attributes:
        warmup: steps in which the rate rises to where it begins, by as much at each.
    """

    warmup: int

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0 over all epochs."""
        if step < self.warmup:
            return self.level(self.warmup) * (step + 1) / self.warmup
        return self.level(step)

    @abstractmethod
    def level(self, step: int) -> float:
        """The learning rate of a step after the warm-up."""

    def epoch_ended(self, validation_loss: float) -> None:  # noqa: B027 - most have a fixed course
        """Tell how an epoch ended."""

    def state(self) -> dict[str, float]:
        """What it has learnt from the epochs so far, as JSON can hold it."""
        return {}

    def restore(self, state: dict[str, float]) -> None:  # noqa: B027 - nothing was learnt
        """Go on from `state`."""
