"""Tiles and back, against the matrices applied to each tile by NumPy in double precision."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray

from quickspine.nets.backbones.layers.winograd.transforms import (
    factors_to_maps,
    maps_to_factors,
    maps_to_products,
    products_to_maps,
)

Bits = NDArray[np.uint16]
Values = NDArray[np.float64]
SHAPES = [(1, 1, 1, 1), (1, 4, 4, 3), (2, 5, 7, 3), (3, 14, 6, 1), (2, 3, 9, 17), (1, 8, 13, 33)]
HALF_A_BIT = 2.0**-8  # of the seven of a mantissa, relative to the number
IN_BETWEEN = 1e-6  # float32's, relative to the largest
UNTOUCHED = 0x1234


def drawn(shape: tuple[int, ...], seed: int) -> Bits:
    values = np.random.default_rng(seed).normal(size=shape)
    return values.astype(ml_dtypes.bfloat16).view(np.uint16)


def value(bits: Bits) -> Values:
    found: Values = bits.view(ml_dtypes.bfloat16).astype(np.float64)
    return found


def tiles_of(shape: tuple[int, ...]) -> tuple[int, int, tuple[int, ...]]:
    """Tiles down and across, and the shape of factors and products."""
    batch, height, width, channels = shape
    down, across = -(-height // 4), -(-width // 4)
    return down, across, (36, batch * down * across, channels)


def cut(maps: Values, side: int, before: int) -> Values:
    """Padded maps to tiles [tiles, side², channels] that begin `before` pixels early."""
    down, across, _ = tiles_of(maps.shape)
    batch, height, width, channels = maps.shape
    padded = np.zeros((batch, 4 * down + 2, 4 * across + 2, channels))
    padded[:, before : height + before, before : width + before] = maps
    found = [
        padded[image, 4 * y : 4 * y + side, 4 * x : 4 * x + side].reshape(-1, channels)
        for image in range(batch)
        for y in range(down)
        for x in range(across)
    ]
    return np.array(found)


def joined(tiles: Values, shape: tuple[int, ...], side: int, before: int) -> Values:
    """The transpose of `cut`: tiles are added where they belong."""
    down, across, _ = tiles_of(shape)
    batch, height, width, channels = shape
    padded = np.zeros((batch, 4 * down + 2, 4 * across + 2, channels))
    each = iter(tiles.reshape(-1, side, side, channels))
    for image in range(batch):
        for y in range(down):
            for x in range(across):
                padded[image, 4 * y : 4 * y + side, 4 * x : 4 * x + side] += next(each)
    return padded[:, before : height + before, before : width + before]


def applied(kernel: Any, source: Bits, shape: tuple[int, ...], batch: int) -> Bits:
    target = np.full(shape, UNTOUCHED, np.uint16)
    kernel(source, target, 0, batch)
    return target


def check(found: Bits, wanted: Values) -> None:
    assert found.shape == wanted.shape
    furthest = IN_BETWEEN * np.abs(wanted).max()
    np.testing.assert_allclose(value(found), wanted, rtol=HALF_A_BIT, atol=furthest)


def both(matrix: Values) -> Values:
    return np.kron(matrix, matrix).astype(np.float64)


@pytest.mark.parametrize("shape", SHAPES)
def test_maps_to_factors(matrices: Any, shape: tuple[int, ...]) -> None:
    maps = drawn(shape, 1)
    wanted = np.einsum("pi,tic->ptc", both(matrices.inputs), cut(value(maps), 6, 1))
    check(applied(maps_to_factors, maps, tiles_of(shape)[2], shape[0]), wanted)


@pytest.mark.parametrize("shape", SHAPES)
def test_products_to_maps(matrices: Any, shape: tuple[int, ...]) -> None:
    products = drawn(tiles_of(shape)[2], 2)
    tiles = np.einsum("op,ptc->toc", both(matrices.outputs), value(products))
    wanted = joined(tiles, shape, 4, 0)
    check(applied(products_to_maps, products, shape, shape[0]), wanted)


@pytest.mark.parametrize("shape", SHAPES)
def test_maps_to_products(matrices: Any, shape: tuple[int, ...]) -> None:
    maps = drawn(shape, 3)
    wanted = np.einsum("op,toc->ptc", both(matrices.outputs), cut(value(maps), 4, 0))
    check(applied(maps_to_products, maps, tiles_of(shape)[2], shape[0]), wanted)


@pytest.mark.parametrize("shape", SHAPES)
def test_factors_to_maps(matrices: Any, shape: tuple[int, ...]) -> None:
    factors = drawn(tiles_of(shape)[2], 4)
    tiles = np.einsum("pi,ptc->tic", both(matrices.inputs), value(factors))
    wanted = joined(tiles, shape, 6, 1)
    check(applied(factors_to_maps, factors, shape, shape[0]), wanted)


@pytest.mark.parametrize("shape", SHAPES[2:])
@pytest.mark.parametrize(
    ("there", "back"),
    [(maps_to_factors, factors_to_maps), (maps_to_products, products_to_maps)],
    ids=["factors", "products"],
)
def test_ways_back_are_adjoint(there: Any, back: Any, shape: tuple[int, ...]) -> None:
    """⟨T x, y⟩ = ⟨x, Tᵀ y⟩, but for what each element's rounding adds up to."""
    x, y = drawn(shape, 5), drawn(tiles_of(shape)[2], 6)
    moved, returned = applied(there, x, y.shape, shape[0]), applied(back, y, x.shape, shape[0])
    left, right = value(moved) * value(y), value(x) * value(returned)
    rounding = HALF_A_BIT * (np.linalg.norm(left) + np.linalg.norm(right))
    assert abs(left.sum() - right.sum()) < 3 * rounding
    assert 10 * rounding < np.linalg.norm(left)  # or this would say nothing


@pytest.mark.parametrize(
    "kernel", [maps_to_factors, products_to_maps, maps_to_products, factors_to_maps]
)
def test_a_share_of_the_images_leaves_the_others_alone(kernel: Any) -> None:
    maps, tiles = (5, 6, 5, 3), tiles_of((5, 6, 5, 3))[2]
    into_tiles = kernel in (maps_to_factors, maps_to_products)
    source, shape = (drawn(maps, 7), tiles) if into_tiles else (drawn(tiles, 7), maps)
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
