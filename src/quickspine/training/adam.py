"""Adam with one operation a weight: Keras 3 composes each update from a dozen on TensorFlow."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

EPSILON = 1e-8  # as PyTorch


class FusedAdam(keras.optimizers.Adam):  # type: ignore[misc]
    """`keras.optimizers.Adam`, with TensorFlow's own kernel for the update; on one device only.

    State, its names and its order are Keras'; updates are equal but for rounding.
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        index = self._get_variable_index(variable)
        taken = tf.cast(self.iterations + 1, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.pow(tf.constant(self.beta_1, tf.float32), taken),
            beta2_power=tf.pow(tf.constant(self.beta_2, tf.float32), taken),
            lr=learning_rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )


def adam(rate: float, replicas: int) -> keras.optimizers.Optimizer:
    """Adam, the optimizer unless params say otherwise.

    Args:
        rate: the first learning rate.
        replicas: of the weights; where there are several, Keras knows how to update them.
    """
    kind = FusedAdam if replicas == 1 else keras.optimizers.Adam
    return kind(rate, epsilon=EPSILON)
