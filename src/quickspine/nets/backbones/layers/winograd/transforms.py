"""Maps to tiles and back, in two dimensions, with bfloat16 in memory and float32 in between.

Maps are uint16 [batch, height, width, channels], the bits of bfloat16; factors and products are
uint16 [36, batch · tiles, channels]: one matrix for each of a tile's 36 products. Tiles lie 4
pixels apart, from the upper left corner; the last ones reach over the edge, where all is 0.

Each kernel works on a range of images, and lets other threads run beside it. They are compiled
when first called, in each process anew: a cache of them on disk would be a pickle.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from quickspine.nets.backbones.layers.winograd.arithmetic import (
    SIDE,
    TILE,
    from_outputs,
    inputs,
    narrowed,
    outputs,
    to_inputs,
    widened,
)

# Multiply-adds may be fused; nothing else of the order of a sum is the compiler's to choose.
compiled = njit(nogil=True, fastmath={"contract"})


@compiled
def _widen(source: Any, target: Any) -> None:
    for index in range(len(target)):
        target[index] = widened(source[index])


@compiled
def _narrow(source: Any, target: Any) -> None:
    for index in range(len(target)):
        target[index] = narrowed(source[index])


@compiled
def _add(source: Any, target: Any) -> None:
    for index in range(len(target)):
        target[index] += source[index]


# In each of these, `s` [4 or 6, n] goes to `t` [4 or 6, n], column by column.


@compiled
def _inputs(s: Any, t: Any) -> None:
    for k in range(s.shape[1]):
        t[0, k], t[1, k], t[2, k], t[3, k], t[4, k], t[5, k] = inputs(
            s[0, k], s[1, k], s[2, k], s[3, k], s[4, k], s[5, k]
        )


@compiled
def _outputs(s: Any, t: Any) -> None:
    for k in range(s.shape[1]):
        t[0, k], t[1, k], t[2, k], t[3, k] = outputs(
            s[0, k], s[1, k], s[2, k], s[3, k], s[4, k], s[5, k]
        )


@compiled
def _from_outputs(s: Any, t: Any) -> None:
    for k in range(s.shape[1]):
        t[0, k], t[1, k], t[2, k], t[3, k], t[4, k], t[5, k] = from_outputs(
            s[0, k], s[1, k], s[2, k], s[3, k]
        )


@compiled
def _to_inputs(s: Any, t: Any) -> None:
    for k in range(s.shape[1]):
        t[0, k], t[1, k], t[2, k], t[3, k], t[4, k], t[5, k] = to_inputs(
            s[0, k], s[1, k], s[2, k], s[3, k], s[4, k], s[5, k]
        )


def _into_tiles(transform: Any, side: int) -> Any:
    """Cuts maps into tiles of `side` pixels a side, and transforms them in both dimensions."""
    margin = (side - TILE) // 2  # pixels that tiles have in common with each neighbour

    @compiled
    def kernel(maps: Any, found: Any, first: int, last: int) -> None:
        batch, height, width, channels = maps.shape
        down, across, row = -(-height // TILE), -(-width // TILE), width * channels
        lines = maps.reshape(batch, height, row)
        source, mixed = np.zeros((side, row), np.float32), np.empty((SIDE, row), np.float32)
        padded = np.zeros((TILE * across + 2 * margin, channels), np.float32)
        flat, tile = padded.reshape(-1), np.empty((SIDE, channels), np.float32)
        begin = margin * channels
        for image in range(first, last):
            for strip in range(down):
                for line in range(side):
                    y = TILE * strip + line - margin
                    if 0 <= y < height:
                        _widen(lines[image, y], source[line])
                    else:
                        source[line] = 0
                transform(source, mixed)
                start = (image * down + strip) * across
                for line in range(SIDE):
                    flat[begin : begin + row] = mixed[line]
                    for column in range(across):
                        transform(padded[TILE * column : TILE * column + side], tile)
                        for k in range(SIDE):
                            _narrow(tile[k], found[SIDE * line + k, start + column])

    return kernel


# The left factors of the products; and the transpose of `products_to_maps`.
maps_to_factors, maps_to_products = _into_tiles(_inputs, SIDE), _into_tiles(_from_outputs, TILE)


@compiled
def products_to_maps(products: Any, maps: Any, first: int, last: int) -> None:
    """The maps of the products, of images `first` to `last - 1`."""
    _, height, width, channels = maps.shape
    down, across = -(-height // TILE), -(-width // TILE)
    row = across * channels
    flat = products.reshape(SIDE * SIDE, -1)
    source = np.empty((SIDE, row), np.float32)
    mixed = np.empty((SIDE, TILE, row), np.float32)
    line, found = np.empty((SIDE, row), np.float32), np.empty((TILE, row), np.float32)
    for image in range(first, last):
        for tile in range(down):
            start = (image * down + tile) * row
            for column in range(SIDE):
                for k in range(SIDE):
                    _widen(flat[SIDE * k + column, start : start + row], source[k])
                _outputs(source, mixed[column])
            for y in range(TILE * tile, min(TILE * tile + TILE, height)):
                for column in range(SIDE):
                    line[column] = mixed[column, y - TILE * tile]
                _outputs(line, found)
                for x in range(width):
                    start_of = x // TILE * channels
                    _narrow(found[x % TILE, start_of : start_of + channels], maps[image, y, x])


@compiled
def factors_to_maps(factors: Any, maps: Any, first: int, last: int) -> None:
    """The transpose of `maps_to_factors`: where tiles overlap, their parts are added."""
    batch, height, width, channels = maps.shape
    down, across = -(-height // TILE), -(-width // TILE)
    row, lines = across * channels, maps.reshape(batch, height, width * channels)
    flat = factors.reshape(SIDE * SIDE, -1)
    source = np.empty((SIDE, row), np.float32)
    mixed = np.empty((SIDE, SIDE, row), np.float32)
    line, found = np.empty((SIDE, row), np.float32), np.empty((SIDE, row), np.float32)
    total = np.empty((TILE * down + 2, TILE * across + 2, channels), np.float32)
    for image in range(first, last):
        total[:] = 0
        for tile in range(down):
            start = (image * down + tile) * row
            for column in range(SIDE):
                for k in range(SIDE):
                    _widen(flat[SIDE * k + column, start : start + row], source[k])
                _to_inputs(source, mixed[column])
            for y in range(SIDE):
                for column in range(SIDE):
                    line[column] = mixed[column, y]
                _to_inputs(line, found)
                sums = total[TILE * tile + y]
                for column in range(across):
                    left, right = column * channels, (column + 1) * channels
                    for k in range(SIDE):
                        _add(found[k, left:right], sums[TILE * column + k])
        for y in range(height):
            _narrow(total[y + 1, 1 : width + 1].reshape(-1), lines[image, y])
