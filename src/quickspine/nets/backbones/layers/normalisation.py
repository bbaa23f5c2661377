"""Batch normalisation in one fused operation: Keras 3 composes it from a dozen on TensorFlow."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

PYTORCH_EPSILON = 1e-5
PYTORCH_MOMENTUM = 0.9  # of the old value; PyTorch calls this 0.1, of the new one


@keras.saving.register_keras_serializable("quickspine")
class FusedBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]
    """Normalises over all axes but the last, with PyTorch's epsilon and momentum.

    Inputs are float [batch, height, width, channels] or [batch, channels]. As in PyTorch, the
    running variance takes the unbiased variance of the batch. Weights and their order are those
    of `keras.layers.BatchNormalization`.
    """

    def __init__(
        self, momentum: float = PYTORCH_MOMENTUM, epsilon: float = PYTORCH_EPSILON, **rest: Any
    ) -> None:
        super().__init__(momentum=momentum, epsilon=epsilon, **rest)
        if self.axis != -1 or not self.center or not self.scale:
            raise ValueError(
                "FusedBatchNormalization scales and shifts the last axis. Received: "
                f"axis={self.axis}, center={self.center}, scale={self.scale}"
            )

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        learn = bool(training) and self.trainable
        maps = inputs if inputs.shape.rank == 4 else inputs[:, None, None, :]
        gamma, beta, mean, variance = (
            tf.cast(weight, tf.float32)
            for weight in (self.gamma, self.beta, self.moving_mean, self.moving_variance)
        )
        outputs, batch_mean, batch_variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=maps,
            scale=gamma,
            offset=beta,
            mean=tf.zeros([0]) if learn else mean,
            variance=tf.zeros([0]) if learn else variance,
            epsilon=self.epsilon,
            is_training=learn,
        )
        if learn:
            # A replica's share of a batch may be empty, and its statistics are not numbers then.
            rest = tf.cast(tf.shape(maps)[0] > 0, tf.float32) * (1 - self.momentum)
            self.moving_mean.assign(_towards(mean, batch_mean, rest))
            self.moving_variance.assign(_towards(variance, batch_variance, rest))
        return outputs if inputs.shape.rank == 4 else outputs[:, 0, 0, :]


def _towards(old: Any, new: Any, share: Any) -> Any:
    return old * (1 - share) + tf.math.multiply_no_nan(new, share)
