"""Maps to Winograd's tiles and back, with bfloat16 in memory and float32 in between.

Four outputs of a correlation with three weights take six products instead of twelve: F(4, 3) of
Lavin and Gray (arXiv 1509.09308, section 4), here in both dimensions. The points are 0, ±√½, ±√2
and ∞ rather than the usual 0, ±1, ±2 and ∞: with products in bfloat16 they halve the error, to
1.2 per cent of a convolution's outputs (bfloat16 itself: 0.3).

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

TILE = 4  # outputs a side of a tile
SIDE = 6  # inputs, and products, a side of a tile

P, Q = np.float32(0.5**0.5), np.float32(2**0.5)  # the points, but for their signs; P · Q = 1
P2, Q2, BOTH = np.float32(0.5), np.float32(2), np.float32(2.5)  # squares, and their sum
P3, Q3 = np.float32(0.5**1.5), np.float32(2**1.5)

# The weights' transform, [6, 3]; theirs is small, and left to TensorFlow.
WEIGHTS = np.array(
    [
        [1, 0, 0],
        *([-2 / 3 * v for v in (1, sign * 0.5**0.5, 0.5)] for sign in (1, -1)),
        *([1 / 6 * v for v in (1, sign * 2**0.5, 2)] for sign in (1, -1)),
        [0, 0, 1],
    ]
)

# Multiply-adds may be fused; nothing else of the order of a sum is the compiler's to choose.
compiled = njit(nogil=True, fastmath={"contract"})


@compiled
def widen(source: Any, target: Any) -> None:
    """The float32 of bfloat16's bits."""
    for index in range(len(target)):
        target[index] = np.uint32(np.uint32(source[index]) << np.uint32(16)).view(np.float32)


@compiled
def narrow(source: Any, target: Any) -> None:
    """The bits of the bfloat16 nearest to each float32, of two the even one; NaN stays NaN."""
    for index in range(len(target)):
        value = source[index]
        bits = np.float32(value).view(np.uint32)
        odd = (bits >> np.uint32(16)) & np.uint32(1)
        rounded = np.uint16((bits + np.uint32(0x7FFF) + odd) >> np.uint32(16))
        # Rounded like numbers, some would be carried over into infinity or zero.
        target[index] = rounded if value == value else np.uint16(0x7FC0)


@compiled
def _add(source: Any, target: Any) -> None:
    for index in range(len(target)):
        target[index] += source[index]


# In each of these, `s` [4 or 6, n] goes to `t` [4 or 6, n], column by column.


@compiled
def _inputs(s: Any, t: Any) -> None:
    """Six inputs of a tile to the left factors of the six products."""
    for k in range(s.shape[1]):
        d0, d1, d2, d3, d4, d5 = s[0, k], s[1, k], s[2, k], s[3, k], s[4, k], s[5, k]
        even1, odd1 = d4 - Q2 * d2, P * d3 - Q * d1
        even2, odd2 = d4 - P2 * d2, Q * d3 - P * d1
        t[0, k], t[5, k] = d0 - BOTH * d2 + d4, d1 - BOTH * d3 + d5
        t[1, k], t[2, k] = even1 + odd1, even1 - odd1
        t[3, k], t[4, k] = even2 + odd2, even2 - odd2


@compiled
def _outputs(s: Any, t: Any) -> None:
    """Six products to the four outputs of a tile."""
    for k in range(s.shape[1]):
        m0, m1, m2, m3, m4, m5 = s[0, k], s[1, k], s[2, k], s[3, k], s[4, k], s[5, k]
        sum1, rest1, sum2, rest2 = m1 + m2, m1 - m2, m3 + m4, m3 - m4
        t[0, k], t[1, k] = m0 + sum1 + sum2, P * rest1 + Q * rest2
        t[2, k], t[3, k] = P2 * sum1 + Q2 * sum2, P3 * rest1 + Q3 * rest2 + m5


@compiled
def _from_outputs(s: Any, t: Any) -> None:
    """The transpose of `_outputs`: gradients of four outputs to those of the six products."""
    for k in range(s.shape[1]):
        y0, y1, y2, y3 = s[0, k], s[1, k], s[2, k], s[3, k]
        even1, odd1 = y0 + P2 * y2, P * y1 + P3 * y3
        even2, odd2 = y0 + Q2 * y2, Q * y1 + Q3 * y3
        t[0, k], t[5, k] = y0, y3
        t[1, k], t[2, k] = even1 + odd1, even1 - odd1
        t[3, k], t[4, k] = even2 + odd2, even2 - odd2


@compiled
def _to_inputs(s: Any, t: Any) -> None:
    """The transpose of `_inputs`: gradients of six left factors to those of the six inputs."""
    for k in range(s.shape[1]):
        v0, v1, v2, v3, v4, v5 = s[0, k], s[1, k], s[2, k], s[3, k], s[4, k], s[5, k]
        sum1, rest1, sum2, rest2 = v1 + v2, v1 - v2, v3 + v4, v3 - v4
        t[0, k], t[1, k] = v0, v5 - Q * rest1 - P * rest2
        t[2, k], t[3, k] = -BOTH * v0 - Q2 * sum1 - P2 * sum2, P * rest1 + Q * rest2 - BOTH * v5
        t[4, k], t[5, k] = v0 + sum1 + sum2, v5


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
                        widen(lines[image, y], source[line])
                    else:
                        source[line] = 0
                transform(source, mixed)
                start = (image * down + strip) * across
                for line in range(SIDE):
                    flat[begin : begin + row] = mixed[line]
                    for column in range(across):
                        transform(padded[TILE * column : TILE * column + side], tile)
                        for k in range(SIDE):
                            narrow(tile[k], found[SIDE * line + k, start + column])

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
                    widen(flat[SIDE * k + column, start : start + row], source[k])
                _outputs(source, mixed[column])
            for y in range(TILE * tile, min(TILE * tile + TILE, height)):
                for column in range(SIDE):
                    line[column] = mixed[column, y - TILE * tile]
                _outputs(line, found)
                for x in range(width):
                    start_of = x // TILE * channels
                    narrow(found[x % TILE, start_of : start_of + channels], maps[image, y, x])


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
                    widen(flat[SIDE * k + column, start : start + row], source[k])
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
            narrow(total[y + 1, 1 : width + 1].reshape(-1), lines[image, y])
