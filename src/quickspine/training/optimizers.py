"""Optimizers, by the names that params.yaml gives them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import keras

from quickspine.params import OptimizerConfig
from quickspine.training.adam import adam
from quickspine.training.sgd import sgd

Maker = Callable[[float, int], keras.optimizers.Optimizer]  # of the first rate, and of replicas
OPTIMIZERS: dict[str, Callable[[OptimizerConfig], Maker]] = {
    "adam": lambda params: adam,
    "sgd": lambda params: partial(sgd, momentum=params.momentum),
}


def optimizer(params: OptimizerConfig) -> Maker:
    """What makes the optimizer of `params.optimizer`, from a learning rate and replicas."""
    return OPTIMIZERS[params.optimizer](params)
