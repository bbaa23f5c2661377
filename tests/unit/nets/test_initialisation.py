"""Initial weights, as PyTorch draws them."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from quickspine.nets.backbones.layers.initialisation import convolution, linear


def kernel_and_bias(layer: keras.layers.Layer, *shape: int) -> list[np.ndarray]:
    layer.build((None, *shape))
    return [weight.astype(np.float64) for weight in layer.get_weights()]


@pytest.mark.parametrize(("units", "fan_in"), [(128, 256), (512, 100), (4000, 9)])
def test_linear_kernels_and_biases_are_uniform_in_one_over_the_root_of_fan_in(
    units: int, fan_in: int
) -> None:
    limit = 1 / np.sqrt(fan_in)
    kernel, bias = kernel_and_bias(linear(units, fan_in, "head/x", 1, "pytorch"), fan_in)
    for values in (kernel, bias):
        spread = 4 / np.sqrt(values.size)  # four standard errors, roughly
        assert np.abs(values).max() <= limit * (1 + 1e-6)
        assert np.abs(values).max() > limit * (1 - 10 / values.size)
        assert abs(values.mean()) < limit * spread
        assert values.var() == pytest.approx(limit**2 / 3, rel=spread)


@pytest.mark.parametrize(
    ("layer", "shape", "fans"),
    [
        (linear(128, 256, "head/x", 1, "keras"), (256,), 128 + 256),
        (convolution(128, 3, "vgg5/x", 1, "keras"), (28, 28, 32), 9 * (128 + 32)),
    ],
)
def test_those_of_keras_are_glorot_with_zero_bias(
    layer: keras.layers.Layer, shape: tuple[int, ...], fans: int
) -> None:
    kernel, bias = kernel_and_bias(layer, *shape)
    assert 0.99 < np.abs(kernel).max() / np.sqrt(6 / fans) <= 1 + 1e-6
    assert not bias.any()


def test_convolutions_are_he_normal_by_fan_out_with_zero_bias() -> None:
    kernel, bias = kernel_and_bias(convolution(128, 3, "vgg5/x", 1, "pytorch"), 28, 28, 32)
    variance = 2 / (9 * 128)
    assert kernel.var() == pytest.approx(variance, rel=0.03)
    assert abs(kernel.mean()) < 4 * np.sqrt(variance / kernel.size)
    assert np.abs(kernel).max() > 3.3 * np.sqrt(variance)  # not truncated at two
    assert not bias.any()


@pytest.mark.parametrize("scheme", ["pytorch", "keras"])
def test_seed_and_name_decide_and_nothing_else(scheme: str) -> None:
    def kernel(name: str, seed: int) -> bytes:
        return kernel_and_bias(linear(8, 16, name, seed, scheme), 16)[0].tobytes()

    first = kernel("head/a", 1)
    keras.random.uniform((3,), seed=5)
    keras.utils.set_random_seed(9)
    assert kernel("head/a", 1) == first
    assert len({first, kernel("head/b", 1), kernel("head/a", 2)}) == 3


def test_kernel_and_bias_are_independent() -> None:
    kernel, bias = kernel_and_bias(linear(64, 1, "head/a", 1, "pytorch"), 1)
    assert abs(np.corrcoef(kernel[0], bias)[0, 1]) < 0.4
