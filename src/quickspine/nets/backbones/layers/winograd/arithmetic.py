"""Winograd's F(4, 3) in one dimension, and bfloat16 as bits: what the transforms are made of.

Four outputs of a correlation with three weights take six products instead of twelve (Lavin and
Gray, arXiv 1509.09308, section 4). The points are 0, ±√½, ±√2 and ∞ rather than the usual 0, ±1,
±2 and ∞: with products in bfloat16 they halve the error, to 1.2 per cent of a convolution's
outputs (bfloat16 itself: 0.3).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped] # ships no types
from numba import float32, njit, uint16, uint32
from numba.extending import intrinsic as typed_intrinsic

intrinsic: Any = typed_intrinsic  # its types know nothing of the context that it fills in

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


@intrinsic  # type: ignore[untyped-decorator]
def _float_of(context: Any, bits: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.bitcast(values[0], ir.FloatType())

    return float32(uint32), generate


@intrinsic  # type: ignore[untyped-decorator]
def _bits_of(context: Any, value: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.bitcast(values[0], ir.IntType(32))

    return uint32(float32), generate


@njit(inline="always")
def widened(bits: Any) -> Any:
    """The float32 of a bfloat16's bits."""
    return _float_of(uint32(bits) << uint32(16))


@njit(inline="always")
def narrowed(value: Any) -> Any:
    """The bits of the bfloat16 nearest to a float32, of two the even one; NaN stays NaN."""
    bits = _bits_of(value)
    odd = (bits >> uint32(16)) & uint32(1)
    rounded = uint16((bits + uint32(0x7FFF) + odd) >> uint32(16))
    # Rounded like numbers, some would be carried over into infinity or zero.
    return rounded if value == value else uint16(0x7FC0)


@njit(inline="always")
def inputs(d0: Any, d1: Any, d2: Any, d3: Any, d4: Any, d5: Any) -> Any:
    """Six inputs of a tile to the left factors of the six products."""
    even1, odd1 = d4 - Q2 * d2, P * d3 - Q * d1
    even2, odd2 = d4 - P2 * d2, Q * d3 - P * d1
    last = d1 - BOTH * d3 + d5
    return d0 - BOTH * d2 + d4, even1 + odd1, even1 - odd1, even2 + odd2, even2 - odd2, last


@njit(inline="always")
def outputs(m0: Any, m1: Any, m2: Any, m3: Any, m4: Any, m5: Any) -> Any:
    """Six products to the four outputs of a tile."""
    sum1, rest1, sum2, rest2 = m1 + m2, m1 - m2, m3 + m4, m3 - m4
    even = P2 * sum1 + Q2 * sum2
    return m0 + sum1 + sum2, P * rest1 + Q * rest2, even, P3 * rest1 + Q3 * rest2 + m5


@njit(inline="always")
def from_outputs(y0: Any, y1: Any, y2: Any, y3: Any) -> Any:
    """The transpose of `outputs`: gradients of four outputs to those of the six products."""
    even1, odd1 = y0 + P2 * y2, P * y1 + P3 * y3
    even2, odd2 = y0 + Q2 * y2, Q * y1 + Q3 * y3
    return y0, even1 + odd1, even1 - odd1, even2 + odd2, even2 - odd2, y3


@njit(inline="always")
def to_inputs(v0: Any, v1: Any, v2: Any, v3: Any, v4: Any, v5: Any) -> Any:
    """The transpose of `inputs`: gradients of six left factors to those of the six inputs."""
    sum1, rest1, sum2, rest2 = v1 + v2, v1 - v2, v3 + v4, v3 - v4
    second = v5 - Q * rest1 - P * rest2
    third = -BOTH * v0 - Q2 * sum1 - P2 * sum2
    return v0, second, third, P * rest1 + Q * rest2 - BOTH * v5, v0 + sum1 + sum2, v5
