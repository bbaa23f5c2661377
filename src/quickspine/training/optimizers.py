"""Optimizers, by the names that params.yaml gives them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
from keras import ops

from quickspine.params import OptimizerConfig

Maker = Callable[[float], keras.optimizers.Optimizer]  # from the first learning rate

adam: Maker = partial(keras.optimizers.Adam, epsilon=1e-8)  # as PyTorch


class MomentumSGD(keras.optimizers.SGD):  # type: ignore[misc]
    """`keras.optimizers.SGD` with PyTorch's rule, which the paper used.

    v ← momentum · v + gradient, weight ← weight - rate · v; v begins with zero. Keras' own keeps
    the rate inside v: with a constant rate both are the same, but there a rate that falls to a
    tenth goes on for some steps as before. `momentum` 0 is plain descent and has no v.
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        rate, velocity = ops.cast(learning_rate, variable.dtype), ops.cast(gradient, variable.dtype)
        if self.momentum:
            kept = self.momentums[self._get_variable_index(variable)]
            velocity = ops.add(ops.multiply(kept, self.momentum), velocity)
            self.assign(kept, velocity)
        self.assign_sub(variable, ops.multiply(rate, velocity))


def optimizer_maker(params: OptimizerConfig) -> Maker:
    """Return what makes the optimizer of `params.optimizer` from a learning rate."""
    return adam if params.optimizer == "adam" else partial(MomentumSGD, momentum=params.momentum)
