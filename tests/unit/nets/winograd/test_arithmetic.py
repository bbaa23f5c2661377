"""Winograd's transforms against their matrices, and rounding to bfloat16 against ml_dtypes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numba import njit
from numpy.typing import NDArray

from quickspine.nets.backbones.layers.winograd import arithmetic
from quickspine.nets.backbones.layers.winograd.arithmetic import (
    WEIGHTS,
    from_outputs,
    inputs,
    narrowed,
    outputs,
    to_inputs,
    widened,
)

ROUNDING = 1e-6  # the points are float32
CHANCES = np.random.default_rng(0)


def matrix(transform: Any, columns: int) -> NDArray[np.float64]:
    """What a transform does to each unit vector."""
    return np.array([transform.py_func(*unit) for unit in np.eye(columns)]).T


@njit
def _round(values: Any, bits: Any) -> None:
    for index in range(len(values)):
        bits[index] = narrowed(values[index])


@njit
def _widen(bits: Any, values: Any) -> None:
    for index in range(len(bits)):
        values[index] = widened(bits[index])


def rounded(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    bits = np.empty(len(values), np.uint16)
    _round(values, bits)
    return bits


def expected(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    with np.errstate(over="ignore"):  # the largest round to infinity
        return values.astype(ml_dtypes.bfloat16).view(np.uint16)


def test_each_transform_is_its_matrix(matrices: Any) -> None:
    for transform, wanted in ((inputs, matrices.inputs), (outputs, matrices.outputs)):
        found = matrix(transform, wanted.shape[1])
        np.testing.assert_allclose(found, wanted, rtol=ROUNDING, atol=0)
    np.testing.assert_allclose(WEIGHTS, matrices.weights, rtol=1e-12, atol=1e-15)


def test_the_ways_back_are_transposes() -> None:
    np.testing.assert_array_equal(matrix(from_outputs, 4), matrix(outputs, 6).T)
    np.testing.assert_array_equal(matrix(to_inputs, 6), matrix(inputs, 6).T)


@pytest.mark.parametrize(("name", "count"), [("inputs", 6), ("outputs", 6), ("from_outputs", 4)])
def test_transforms_are_linear(name: str, count: int) -> None:
    transform: Callable[..., Any] = getattr(arithmetic, name).py_func
    a, b = CHANCES.normal(size=(2, count))
    together = np.array(transform(*(2 * a - 3 * b)))
    apart = 2 * np.array(transform(*a)) - 3 * np.array(transform(*b))
    np.testing.assert_allclose(together, apart, rtol=0, atol=1e-12)


numbers = st.floats(-1e3, 1e3)


@given(arrays(np.float64, 6, elements=numbers), arrays(np.float64, 3, elements=numbers))
def test_six_products_are_four_outputs_of_a_correlation(
    data: NDArray[np.float64], weights: NDArray[np.float64]
) -> None:
    products = (WEIGHTS @ weights) * np.array(inputs.py_func(*data))
    found = outputs.py_func(*products)
    scale = np.abs(data).max() * np.abs(weights).max()
    wanted = np.correlate(data, weights, "valid")
    np.testing.assert_allclose(found, wanted, rtol=0, atol=20 * ROUNDING * scale + 1e-300)


@settings(max_examples=500)
@given(arrays(np.float32, 16, elements=st.floats(width=32, allow_nan=False)))
def test_narrowed_rounds_as_bfloat16_does(values: NDArray[np.float32]) -> None:
    np.testing.assert_array_equal(rounded(values), expected(values))


def test_narrowed_rounds_every_exponent_and_every_tie() -> None:
    """Infinity included, and what is nearer to it than to the largest finite number."""
    upper = np.arange(1 << 16, dtype=np.uint32) << 16
    lower = np.array([0, 1, 0x7FFE, 0x7FFF, 0x8000, 0x8001, 0xFFFE, 0xFFFF], np.uint32)
    values = (upper[:, None] | lower).ravel().view(np.float32)
    numbers = values[~np.isnan(values)]
    assert len(numbers) > 500_000
    assert np.isinf(numbers).sum() == 2
    np.testing.assert_array_equal(rounded(numbers), expected(numbers))


def test_not_a_number_stays_one() -> None:
    """All kinds: rounded like numbers, some would be carried over into infinity or zero."""
    upper = np.array([0x7F80, 0x7FC0, 0x7FFF, 0xFF80, 0xFFC0, 0xFFFF], np.uint32) << 16
    lower = np.array([0, 1, 0x7FFF, 0x8000, 0xFFFF], np.uint32)
    values = (upper[:, None] | lower).ravel().view(np.float32)
    nans = values[np.isnan(values)]
    assert len(nans) == 28
    assert np.isnan(rounded(nans).view(ml_dtypes.bfloat16).astype(np.float32)).all()


def test_widened_is_exact_and_narrowed_takes_it_back() -> None:
    bits = np.arange(1 << 16, dtype=np.uint16)
    values = np.empty(len(bits), np.float32)
    _widen(bits, values)
    wanted = bits.view(ml_dtypes.bfloat16).astype(np.float32)
    np.testing.assert_array_equal(values, wanted)
    number = ~np.isnan(values)
    np.testing.assert_array_equal(values.view(np.uint32)[number] >> 16, bits[number])
    np.testing.assert_array_equal(rounded(values)[number], bits[number])
