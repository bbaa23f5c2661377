"""Adam in one operation a weight, against Keras' own."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from quickspine.training.adam import EPSILON, FusedAdam, adam

# TensorFlow subtracts beta_2 from 1 in float32, Keras in double precision: velocities are as much
# smaller, and steps larger by half of it.
BETA_ROUNDING = 1.4e-5
STEP_ROUNDING = 0.7e-5
SHAPES = ((3, 3, 2, 4), (4,), (7, 3), (1,))


def weights() -> list[Any]:
    random = np.random.default_rng(0)
    return [
        keras.Variable(random.normal(size=shape).astype(np.float32), name=f"weight{index}")
        for index, shape in enumerate(SHAPES)
    ]


def stepped(optimizer: Any, rates: list[float]) -> list[Any]:
    """Variables after as many steps, in a graph as in training; gradients differ in size."""
    trained = weights()
    optimizer.build(trained)
    random = np.random.default_rng(1)

    @tf.function  # type: ignore[untyped-decorator]
    def step(gradients: Any) -> None:
        optimizer.apply(gradients, trained)

    for rate in rates:
        optimizer.learning_rate.assign(rate)
        scales = 10.0 ** random.integers(-6, 4, len(SHAPES))
        pairs = zip(scales, SHAPES, strict=True)
        step([tf.constant(s * random.normal(size=shape), tf.float32) for s, shape in pairs])
    return [value.numpy() for value in (*trained, *optimizer.variables)]


def own(rate: float = 0.01) -> Any:
    return keras.optimizers.Adam(rate, epsilon=EPSILON)


@pytest.mark.parametrize(
    "rates",
    [[0.01] * 40, [0.0, 0.1, 0.0, 1e-5, 0.02], [0.3]],
    ids=["constant", "assigned between steps", "one step"],
)
def test_steps_are_keras_but_for_rounding(rates: list[float]) -> None:
    found, wanted = stepped(FusedAdam(0.5, epsilon=EPSILON), rates), stepped(own(0.5), rates)
    started = [value.numpy() for value in weights()]
    furthest = STEP_ROUNDING * 3 * sum(rates)  # gradients that grow make steps of a few rates
    for value, expected, before in zip(found, wanted, started, strict=False):
        assert not np.array_equal(expected, before)
        np.testing.assert_allclose(value, expected, rtol=1e-6, atol=furthest)
    iterations, rate, *slots = range(len(SHAPES), len(found))
    for index in (iterations, rate):
        np.testing.assert_array_equal(found[index], wanted[index])
    for index, rounding in zip(slots, [1e-6, BETA_ROUNDING] * len(SHAPES), strict=True):
        small = 1e-6 * np.abs(wanted[index]).max()
        np.testing.assert_allclose(found[index], wanted[index], rtol=rounding, atol=small)


def test_no_rate_is_no_step() -> None:
    found = stepped(adam(0.5, 1), [0.0])
    for value, before in zip(found, weights(), strict=False):
        np.testing.assert_array_equal(value, before.numpy())


def test_its_state_is_that_of_keras() -> None:
    """Checkpoints hold it, one after the other."""
    both = FusedAdam(0.1), keras.optimizers.Adam(0.1)
    for optimizer in both:
        optimizer.build(weights())
    one, other = ([(v.name, tuple(v.shape), v.dtype) for v in each.variables] for each in both)
    assert one == other
    assert len(one) == 2 + 2 * len(SHAPES)


def test_steps_are_counted() -> None:
    optimizer = adam(0.1, 1)
    stepped(optimizer, [0.1] * 3)
    assert int(optimizer.iterations.numpy()) == 3


def test_several_replicas_get_keras_own() -> None:
    assert [type(adam(0.1, replicas)) for replicas in (1, 2, 8)] == [
        FusedAdam,
        keras.optimizers.Adam,
        keras.optimizers.Adam,
    ]
    for optimizer in (adam(0.25, 1), adam(0.25, 2)):
        assert float(optimizer.learning_rate.numpy()) == 0.25
        assert (optimizer.epsilon, optimizer.beta_1, optimizer.beta_2) == (1e-8, 0.9, 0.999)
