"""Descent with momentum is PyTorch's rule, and Adam has PyTorch's epsilon."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from quickspine.params import Params
from quickspine.training.optimizers import MomentumSGD, optimizer_maker

SHAPES = ((3, 3, 2, 4), (4,), (7, 3), (1,))
RATES = [0.1, 0.1, 0.0, 1e-5, 0.02, 0.3]
Values = list[NDArray[np.float32]]


def gradients() -> list[Values]:
    random = np.random.default_rng(1)
    return [[random.normal(size=shape).astype(np.float32) for shape in SHAPES] for _ in RATES]


def start() -> Values:
    random = np.random.default_rng(0)
    return [random.normal(size=shape).astype(np.float32) for shape in SHAPES]


def stepped(optimizer: Any, *, xla: bool = False) -> tuple[Values, Values]:
    """Weights and velocities after as many steps as there are rates, in a graph."""
    trained = [keras.Variable(value, name=f"weight{n}") for n, value in enumerate(start())]
    optimizer.build(trained)

    @tf.function(jit_compile=xla)  # type: ignore[untyped-decorator]
    def step(given: Any) -> None:
        optimizer.apply(given, trained)

    for rate, given in zip(RATES, gradients(), strict=True):
        optimizer.learning_rate.assign(rate)
        step([tf.constant(value) for value in given])
    assert int(optimizer.iterations.numpy()) == len(RATES)
    return [v.numpy() for v in trained], [v.numpy() for v in optimizer.momentums]


def reference(momentum: float) -> tuple[Values, Values]:
    """In double precision."""
    weights = [value.astype(np.float64) for value in start()]
    velocities = [np.zeros_like(value) for value in weights]
    for rate, given in zip(RATES, gradients(), strict=True):
        for weight, velocity, gradient in zip(weights, velocities, given, strict=True):
            velocity[...] = momentum * velocity + gradient
            weight -= rate * velocity
    return weights, velocities  # type: ignore[return-value]


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_it_is_pytorch_s_rule(momentum: float) -> None:
    weights, velocities = reference(momentum)
    for xla in (False, True):
        found, kept = stepped(MomentumSGD(0.5, momentum=momentum), xla=xla)
        assert len(kept) == (len(SHAPES) if momentum else 0)
        for value, expected in zip(found, weights, strict=True):
            np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-6)
        for value, expected in zip(kept, velocities, strict=False):
            np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-6)
    if momentum:  # Keras' own goes on at the old rate: another course
        other, _ = stepped(keras.optimizers.SGD(0.5, momentum=momentum))
        assert max(np.abs(a - b).max() for a, b in zip(other, weights, strict=True)) > 0.01


def test_params_choose_the_optimizer(make_params: Callable[..., Params]) -> None:
    sgd = {"finetune.optimizer": "sgd", "finetune.momentum": 0.5}
    made = optimizer_maker(make_params(sgd).finetune)(0.25)
    assert (type(made), made.momentum, float(made.learning_rate)) == (MomentumSGD, 0.5, 0.25)
    made = optimizer_maker(make_params({}).train)(0.25)
    assert type(made) is keras.optimizers.Adam
    assert made.epsilon == 1e-8
