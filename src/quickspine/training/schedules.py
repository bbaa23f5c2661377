"""Learning rates: a value for every step, after a linear warm-up."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields

from quickspine.dataset.records.seeds import derive
from quickspine.params import OptimizerConfig

DRAWS = 2**31  # values of `derive`


class Schedule(ABC):
    """A learning rate for every step; `epoch_ended` lets it react to the validation loss.

    Attributes:
        warmup: steps of linear warm-up.
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

    def epoch_ended(self, validation_loss: float) -> None:  # noqa: B027 - most do not react
        """React to the end of an epoch."""

    def state(self) -> dict[str, float]:
        """What a checkpoint must hold of it, as JSON can."""
        return {}

    def restore(self, state: dict[str, float]) -> None:  # noqa: B027 - most have no state
        """Go on from `state`."""


@dataclass
class Constant(Schedule):
    """Linear warm-up to `peak`, constant from there."""

    peak: float
    warmup: int = 0

    def level(self, step: int) -> float:
        return self.peak


@dataclass
class Cosine(Schedule):
    """Linear warm-up to `peak`, then half a cosine down to zero at the last step."""

    peak: float
    steps: int
    warmup: int = 0

    def level(self, step: int) -> float:
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.peak * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


@dataclass
class StepDecay(Schedule):
    """Linear warm-up to `peak`; times `factor` after each `every` steps, the warm-up's included.

    The paper fine-tunes so: a tenth after each seven epochs.
    """

    peak: float
    every: int
    factor: float
    warmup: int = 0

    def level(self, step: int) -> float:
        return self.peak * self.factor ** (step // self.every)


@dataclass
class Reactive(Schedule):
    """A peak times `scale`, which changes at the end of an epoch."""

    peak: float
    scale: float = field(default=1.0, init=False)
    best: float = field(default=math.inf, init=False)  # validation loss

    def level(self, step: int) -> float:
        return self.peak * self.scale

    def improved(self, validation_loss: float) -> bool:
        """Note a loss; whether it is lower than that of every epoch before."""
        if validation_loss < self.best:
            self.best = validation_loss
            return True
        return False

    def state(self) -> dict[str, float]:
        # All fields that are not arguments.
        return {each.name: getattr(self, each.name) for each in fields(self) if not each.init}

    def restore(self, state: dict[str, float]) -> None:
        vars(self).update(state)


@dataclass
class Plateau(Reactive):
    """Linear warm-up to `peak`, then times `factor` after `patience` epochs without improvement.

    An epoch improves if its validation loss is lower than that of every epoch before.
    """

    patience: int
    factor: float
    warmup: int = 0
    waited: int = field(default=0, init=False)  # epochs

    def epoch_ended(self, validation_loss: float) -> None:
        if self.improved(validation_loss):
            self.waited = 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            self.scale *= self.factor
            self.waited = 0


@dataclass
class RandomRestart(Reactive):
    """The paper's random restart, decided by the validation split (docs/decisions/0016-restart.md).

    Linear warm-up to `peak`; each epoch without improvement draws the rate anew. An epoch improves
    if its validation loss is lower than that of every epoch before. After one that does not, the
    rate is peak · U³, with U uniform between 0 and 1; after one that does, it stays. So three in
    four rates are less than .42 of the peak, and one in five less than a hundredth. U comes from
    (seed, phase, epoch): every head draws the same after the same epoch.

    Source: arXiv 2007.03347, the authors' scripts for VGG-5; there the test accuracy decided.
    """

    seed: int
    phase: str
    warmup: int = 0
    ended: int = field(default=0, init=False)  # epochs

    def epoch_ended(self, validation_loss: float) -> None:
        if not self.improved(validation_loss):
            # From the middle of a draw's share: never 0, which would train nothing.
            drawn = (derive(self.seed, "restart", self.phase, self.ended) + 0.5) / DRAWS
            self.scale = drawn**3
        self.ended += 1


def make_schedule(
    params: OptimizerConfig, phase: str, peak: float, *, steps: int, epochs: int, seed: int
) -> Schedule:
    """Make the schedule of `params.schedule` for a phase of training.

    Args:
        params: a stage's section.
        phase: "train", "head" or "blocks".
        peak: the highest learning rate.
        steps: batches in an epoch.
        epochs: at most.
        seed: of the training.
    """
    warmup = round(params.warmup_epochs * steps)
    match params.schedule:
        case "constant":
            return Constant(peak, warmup)
        case "cosine":
            return Cosine(peak, epochs * steps, warmup)
        case "step":
            return StepDecay(peak, params.step_epochs * steps, params.step_factor, warmup)
        case "plateau":
            return Plateau(peak, params.plateau_patience, params.plateau_factor, warmup)
        case "random_restart":
            return RandomRestart(peak, seed, phase, warmup)
