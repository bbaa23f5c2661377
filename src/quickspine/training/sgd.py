"""Stochastic gradient descent with momentum, by PyTorch's rule, which the paper used.

v ← momentum · v + gradient, weight ← weight - rate · v; v begins with zero. Keras' own keeps the
rate inside v: with a constant rate both are the same, but there a rate that falls to a tenth goes
on for some steps as before. `momentum` 0 is plain descent and has no v.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import ops


class MomentumSGD(keras.optimizers.SGD):  # type: ignore[misc]
    """`keras.optimizers.SGD` with PyTorch's rule, on any number of replicas; Keras' state."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        rate, velocity = ops.cast(learning_rate, variable.dtype), ops.cast(gradient, variable.dtype)
        if self.momentum:
            kept = self.momentums[self._get_variable_index(variable)]
            velocity = ops.add(ops.multiply(kept, self.momentum), velocity)
            self.assign(kept, velocity)
        self.assign_sub(variable, ops.multiply(rate, velocity))


class FusedSGD(MomentumSGD):
    """The same with TensorFlow's own kernel, one operation a weight; on one device only."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        if not self.momentum:
            tf.raw_ops.ResourceApplyGradientDescent(
                var=variable.handle, alpha=learning_rate, delta=gradient
            )
            return
        tf.raw_ops.ResourceApplyMomentum(
            var=variable.handle,
            accum=self.momentums[self._get_variable_index(variable)].value.handle,
            lr=learning_rate,
            grad=gradient,
            momentum=self.momentum,
        )


def sgd(rate: float, replicas: int, *, momentum: float) -> keras.optimizers.Optimizer:
    """Descent with momentum.

    Args:
        rate: the first learning rate.
        replicas: of the weights; where there are several, Keras knows how to update them.
        momentum: from 0 up to 1, without 1.
    """
    kind = FusedSGD if replicas == 1 else MomentumSGD
    return kind(rate, momentum=momentum)
