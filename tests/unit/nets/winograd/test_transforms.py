"""Tiles and back, against Winograd's matrices applied to each tile in double precision.

And rounding to bfloat16 against ml_dtypes.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray

from quickspine.nets.backbones.layers.winograd.transforms import (
    WEIGHTS,
    factors_to_maps,
    maps_to_factors,
    maps_to_products,
    narrow,
    products_to_maps,
    widen,
)

Bits = NDArray[np.uint16]
Values = NDArray[np.float64]
SHAPES = [(1, 1, 1, 1), (1, 4, 4, 3), (2, 5, 7, 3), (3, 14, 6, 1), (2, 3, 9, 17), (1, 8, 13, 33)]
HALF_A_BIT = 2.0**-8  # of the seven of a mantissa, relative to the number
IN_BETWEEN = 1e-6  # float32's, relative to the largest
UNTOUCHED = 0x1234
POINTS = (0.0, 0.5**0.5, -(0.5**0.5), 2**0.5, -(2**0.5))  # and infinity


def matrices() -> tuple[Values, Values, Values]:
    """Inputs' [6, 6], outputs' [4, 6] and weights' [6, 3], by Toom and Cook from the points alone.

    Polynomials are evaluated at the points, and interpolated: a correlation of d and g is
    outputs @ (weights @ g * inputs @ d).
    """
    inputs, weights = np.zeros((6, 6)), np.zeros((6, 3))
    for row, point in enumerate(POINTS):
        others = [other for other in POINTS if other != point]
        inputs[row, :5] = np.poly(others)[::-1]  # lowest power first
        weights[row] = point ** np.arange(3) / np.prod([point - other for other in others])
    inputs[5], weights[5] = np.poly(POINTS)[::-1], (0, 0, 1)
    infinity = np.array([[0], [0], [0], [1]])
    return inputs, np.hstack([np.vander(POINTS, 4, increasing=True).T, infinity]), weights


INPUTS, OUTPUTS = (np.kron(matrix, matrix) for matrix in matrices()[:2])


def test_the_matrices_make_a_correlation() -> None:
    inputs, outputs, weights = matrices()
    np.testing.assert_allclose(WEIGHTS, weights, rtol=1e-12, atol=1e-15)
    data, kernel = np.random.default_rng(0).normal(size=(2, 6))
    found = outputs @ ((WEIGHTS @ kernel[:3]) * (inputs @ data))
    np.testing.assert_allclose(found, np.correlate(data, kernel[:3], "valid"), atol=1e-12)


def drawn(shape: tuple[int, ...], seed: int) -> Bits:
    values = np.random.default_rng(seed).normal(size=shape)
    return values.astype(ml_dtypes.bfloat16).view(np.uint16)


def value(bits: Bits) -> Values:
    found: Values = bits.view(ml_dtypes.bfloat16).astype(np.float64)
    return found


def tiles_of(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of factors and products."""
    batch, height, width, channels = shape
    return 36, batch * -(-height // 4) * -(-width // 4), channels


def tiles(maps: Values, side: int, before: int) -> tuple[Values, list[Values]]:
    """Maps [batch, height, width, channels] inside zeros, and views of their tiles.

    Tiles have `side` pixels a side and begin `before` pixels early.
    """
    batch, height, width, channels = maps.shape
    down, across = -(-height // 4), -(-width // 4)
    padded = np.zeros((batch, 4 * down + 2, 4 * across + 2, channels))
    inside = padded[:, before : height + before, before : width + before]
    inside[:] = maps
    places = product(range(batch), range(0, 4 * down, 4), range(0, 4 * across, 4))
    return inside, [padded[image, y : y + side, x : x + side] for image, y, x in places]


def cut(maps: Values, side: int, before: int) -> Values:
    """Maps to tiles [tiles, side², channels]."""
    found = tiles(maps, side, before)[1]
    return np.array(found).reshape(len(found), side * side, -1)


def joined(values: Values, shape: tuple[int, ...], side: int, before: int) -> Values:
    """The transpose of `cut`: tiles are added where they belong."""
    inside, views = tiles(np.zeros(shape), side, before)
    for view, tile in zip(views, values, strict=True):
        view += tile.reshape(view.shape)
    return inside


def applied(kernel: Any, source: Bits, shape: tuple[int, ...], batch: int) -> Bits:
    target = np.full(shape, UNTOUCHED, np.uint16)
    kernel(source, target, 0, batch)
    return target


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("kernel", "matrix", "side", "before"),
    [(maps_to_factors, INPUTS, 6, 1), (maps_to_products, OUTPUTS.T, 4, 0)],
    ids=["factors", "products"],
)
def test_maps_to_tiles(
    kernel: Any, matrix: Values, side: int, before: int, shape: tuple[int, ...]
) -> None:
    maps = drawn(shape, 1)
    wanted = np.einsum("pi,tic->ptc", matrix, cut(value(maps), side, before))
    check(applied(kernel, maps, tiles_of(shape), shape[0]), wanted)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("kernel", "matrix", "side", "before"),
    [(products_to_maps, OUTPUTS, 4, 0), (factors_to_maps, INPUTS.T, 6, 1)],
    ids=["products", "factors"],
)
def test_tiles_to_maps(
    kernel: Any, matrix: Values, side: int, before: int, shape: tuple[int, ...]
) -> None:
    given = drawn(tiles_of(shape), 2)
    wanted = joined(np.einsum("op,ptc->toc", matrix, value(given)), shape, side, before)
    check(applied(kernel, given, shape, shape[0]), wanted)


def check(found: Bits, wanted: Values) -> None:
    assert found.shape == wanted.shape
    furthest = IN_BETWEEN * np.abs(wanted).max()
    np.testing.assert_allclose(value(found), wanted, rtol=HALF_A_BIT, atol=furthest)


@pytest.mark.parametrize(
    "kernel", [maps_to_factors, products_to_maps, maps_to_products, factors_to_maps]
)
def test_a_share_of_the_images_leaves_the_others_alone(kernel: Any) -> None:
    maps, factors = (5, 6, 5, 3), tiles_of((5, 6, 5, 3))
    into_tiles = kernel in (maps_to_factors, maps_to_products)
    source, shape = (drawn(maps, 7), factors) if into_tiles else (drawn(factors, 7), maps)
    whole = applied(kernel, source, shape, 5)
    part = np.full(shape, UNTOUCHED, np.uint16)
    kernel(source, part, 1, 3)
    by_image = np.moveaxis(part.reshape(36, 5, -1), 1, 0) if into_tiles else part
    wanted = np.moveaxis(whole.reshape(36, 5, -1), 1, 0) if into_tiles else whole
    np.testing.assert_array_equal(by_image[1:3], wanted[1:3])
    assert (by_image[[0, 3, 4]] == UNTOUCHED).all()
    kernel(source, part, 2, 2)  # of no image at all
    kernel(source, part, 3, 5)
    kernel(source, part, 0, 1)
    np.testing.assert_array_equal(part, whole)


def rounded(values: NDArray[np.float32]) -> Bits:
    bits = np.empty(len(values), np.uint16)
    narrow(values, bits)
    return bits


def test_narrow_rounds_every_exponent_and_every_tie_and_keeps_what_is_no_number() -> None:
    """Infinity included, and what is nearer to it than to the largest finite number."""
    upper = np.arange(1 << 16, dtype=np.uint32) << 16
    lower = np.array([0, 1, 0x7FFE, 0x7FFF, 0x8000, 0x8001, 0xFFFE, 0xFFFF], np.uint32)
    values = (upper[:, None] | lower).ravel().view(np.float32)
    number = ~np.isnan(values)
    assert (np.isinf(values).sum(), number.sum()) == (2, 2 * (255 * 128 * 8 + 1))
    with np.errstate(over="ignore"):  # the largest round to infinity
        expected = values[number].astype(ml_dtypes.bfloat16).view(np.uint16)
    np.testing.assert_array_equal(rounded(values)[number], expected)
    assert np.isnan(value(rounded(values[~number]))).all()


def test_widen_is_exact_and_narrow_takes_it_back() -> None:
    bits = np.arange(1 << 16, dtype=np.uint16)
    values = np.empty(len(bits), np.float32)
    widen(bits, values)
    np.testing.assert_array_equal(values, bits.view(ml_dtypes.bfloat16).astype(np.float32))
    number = ~np.isnan(values)
    np.testing.assert_array_equal(rounded(values)[number], bits[number])
