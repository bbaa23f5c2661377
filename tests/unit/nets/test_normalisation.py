"""Fused batch normalisation against Keras' own."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from quickspine.nets.backbones.layers.normalisation import FusedBatchNormalization

SHAPES = [(16, 5), (4, 3, 3, 5)]


def data(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.float32]:
    return (np.random.default_rng(seed).normal(size=shape) * 3 + 1).astype(np.float32)


def twins(shape: tuple[int, ...]) -> tuple[FusedBatchNormalization, Any]:
    """The fused layer and Keras' own, with the same random weights."""
    fused = FusedBatchNormalization()
    composed = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
    weights = [np.random.default_rng(1).uniform(0.5, 2, shape[-1]) for _ in range(4)]
    for layer in (fused, composed):
        layer.build((None, *shape[1:]))
        layer.set_weights(weights)
    return fused, composed


@pytest.mark.parametrize("shape", SHAPES)
def test_statistics_equal_keras_up_to_the_unbiased_variance(shape: tuple[int, ...]) -> None:
    fused, composed = twins(shape)
    x = data(shape)
    before = fused.moving_variance.numpy()
    fused(x, training=True)
    composed(x, training=True)
    np.testing.assert_allclose(fused.moving_mean, composed.moving_mean, rtol=1e-5)
    axes = tuple(range(len(shape) - 1))
    expected = 0.9 * before + 0.1 * x.astype(np.float64).var(axis=axes, ddof=1)
    np.testing.assert_allclose(fused.moving_variance, expected, rtol=1e-5)
    assert not np.allclose(fused.moving_variance, composed.moving_variance, rtol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("training", [True, False])
def test_outputs_and_gradients_equal_keras(shape: tuple[int, ...], training: bool) -> None:
    found, outputs = [], []
    for layer in twins(shape):
        x, weights = tf.Variable(data(shape)), data(shape, seed=2)
        with tf.GradientTape() as tape:
            outputs.append(layer(x, training=training))
            loss = tf.reduce_sum(outputs[-1] * weights)
        found.append(tape.gradient(loss, [x, *(w.value for w in layer.trainable_weights)]))
    np.testing.assert_allclose(outputs[0], outputs[1], rtol=1e-5, atol=1e-5)
    for fused, composed in zip(*found, strict=True):
        np.testing.assert_allclose(fused, composed, rtol=1e-4, atol=1e-4)


def test_momentum_and_epsilon_are_those_of_pytorch() -> None:
    layer = FusedBatchNormalization()
    assert (layer.momentum, layer.epsilon) == (0.9, 1e-5)
    layer = FusedBatchNormalization.from_config({**layer.get_config(), "epsilon": 0.5})
    layer.build((None, 1))
    np.testing.assert_allclose(layer(np.full((1, 1), 3.0, np.float32)), 3 / np.sqrt(1.5))


def test_a_frozen_layer_keeps_and_uses_its_statistics() -> None:
    fused, _ = twins((16, 5))
    x = data((16, 5))
    expected, before = fused(x).numpy(), fused.get_weights()
    fused.trainable = False
    np.testing.assert_array_equal(fused(x, training=True), expected)
    for now, then in zip(fused.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("shape", SHAPES)
def test_an_empty_batch_changes_nothing(shape: tuple[int, ...]) -> None:
    """A replica's share of a batch may be empty: statistics of nothing are not numbers."""
    fused, _ = twins(shape)
    before = fused.get_weights()
    assert fused(np.zeros((0, *shape[1:]), np.float32), training=True).shape[0] == 0
    for now, then in zip(fused.get_weights(), before, strict=True):
        np.testing.assert_allclose(now, then, rtol=1e-6)


def test_weights_are_those_of_keras_in_its_order() -> None:
    fused, composed = twins((16, 5))
    names = [weight.name for weight in fused.weights]
    assert names == [weight.name for weight in composed.weights]


def test_statistics_stay_float32_in_bfloat16() -> None:
    fused = FusedBatchNormalization(dtype="mixed_bfloat16")
    outputs = fused(tf.cast(data((16, 2, 2, 5)), tf.bfloat16), training=True)
    assert outputs.dtype == tf.bfloat16
    assert {weight.dtype for weight in fused.weights} == {"float32"}


@pytest.mark.parametrize("wrong", [{"axis": 1}, {"center": False}, {"scale": False}])
def test_what_the_fused_operation_cannot_do_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"Received: .*{next(iter(wrong))}="):
        FusedBatchNormalization(**wrong)
