"""Learning rates, by name: one file each, and a line in `SCHEDULES`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from quickspine.params import OptimizerConfig
from quickspine.training.schedules.constant import Constant
from quickspine.training.schedules.cosine import Cosine
from quickspine.training.schedules.plateau import Plateau
from quickspine.training.schedules.restart import Restart
from quickspine.training.schedules.schedule import Schedule
from quickspine.training.schedules.stairs import Stairs

__all__ = [
    "SCHEDULES",
    "Constant",
    "Cosine",
    "Phase",
    "Plateau",
    "Restart",
    "Schedule",
    "Stairs",
    "schedule",
]


@dataclass(frozen=True)
class Phase:
    """What a schedule is for.

    Attributes:
        name: "train", "head" or "blocks".
        peak: the highest learning rate.
        steps: batches in an epoch.
        epochs: at most.
        warmup: steps of linear warm-up.
        seed: of the training.
    """

    name: str
    peak: float
    steps: int
    epochs: int
    warmup: int
    seed: int


SCHEDULES: dict[str, Callable[[OptimizerConfig, Phase], Schedule]] = {
    "constant": lambda params, phase: Constant(phase.peak, phase.warmup),
    "cosine": lambda params, phase: Cosine(phase.peak, phase.epochs * phase.steps, phase.warmup),
    "step": lambda params, phase: Stairs(
        phase.peak, params.step_epochs * phase.steps, params.step_factor, phase.warmup
    ),
    "plateau": lambda params, phase: Plateau(
        phase.peak, params.plateau_patience, params.plateau_factor, phase.warmup
    ),
    "restart": lambda params, phase: Restart(phase.peak, phase.seed, phase.name, phase.warmup),
}


def schedule(
    params: OptimizerConfig, name: str, peak: float, *, steps: int, epochs: int, seed: int
) -> Schedule:
    """The learning rates of a phase of training, as `params.schedule` wants them.

    Args:
        params: a stage's section.
        name: of the phase: "train", "head" or "blocks".
        peak: the highest learning rate.
        steps: batches in an epoch.
        epochs: at most.
        seed: of the training.
    """
    warmup = round(params.warmup_epochs * steps)
    return SCHEDULES[params.schedule](params, Phase(name, peak, steps, epochs, warmup, seed))
