"""Strokes to bitmaps, as Google rasterised Quick, Draw!: round pens, centred, white on black.

Quick, Draw!'s 28x28 bitmaps were drawn with lines 16 units wide in a frame of 256 units, with
padding around it for the line's width, 16 units more on each side, and every drawing centred by
its bounding box. Here a pixel's ink follows from its centre's distance to the nearest segment,
so caps and joins are round and nothing is drawn twice. Only additions, multiplications, square
roots and comparisons are used, which IEEE 754 rounds in one way: the same strokes give the same
bytes whichever drawings are rasterised beside them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import ArrayLike, NDArray

FRAME = 256.0  # units a side of the frame that strokes are given in
_FARTHEST = 1e5  # units; a line across more than that would be cut into too many pieces
_BLOCK = 1 << 18  # pixel distances computed at once: bounds memory, and stays in the cache

Drawing = Sequence[ArrayLike]  # strokes, each [points, 2]: x to the right, y downwards, in units
_Floats = NDArray[np.float64]
_Indices = NDArray[np.intp]


def rasterise(
    drawings: Sequence[Drawing], side: int = 28, line: float = 16.0, padding: float = 16.0
) -> NDArray[np.uint8]:
    """Rasterise drawings, white on black and antialiased.

    A drawing is moved so that its bounding box is centred, never scaled: what reaches beyond the
    frame, its padding and the line's width is cut off. A stroke of one point is a disc; strokes
    without points, and drawings without strokes, leave no ink.

    Example:
        rasterise([[[[0, 0], [255, 255]], [[255, 0], [0, 255]]]])  # one cross, [1, 28, 28]

    Args:
        drawings: strokes of [points, 2] floats in a frame of 256 units, y downwards.
        side: pixels a side of the bitmaps.
        line: width of the pen, in units.
        padding: empty margin beyond the line's width, in units.

    Returns:
        uint8 [drawings, side, side]; 0 is the background, 255 full ink.

    Raises:
        ValueError: if a stroke is not [points, 2] or not finite, reaches beyond 100,000 units,
            or if a size is out of range.
    """
    if side < 1 or not 0 < line < math.inf or not 0 <= padding < math.inf:
        raise ValueError(
            "side, line and padding must be at least 1, above 0 and at least 0. "
            f"Received: side={side}, line={line}, padding={padding}"
        )
    scale = side / (FRAME + 2 * padding + line)
    radius = line / 2 * scale
    pieces, owner = _pieces(drawings, scale, side / 2, max(3.0, 2 * radius))
    squares = np.full((len(drawings), side, side), np.inf, dtype=np.float32)
    _nearest(pieces, owner, radius + 0.5, squares)
    return _ink(squares, radius)


def _pieces(
    drawings: Sequence[Drawing], scale: float, centre: float, longest: float
) -> tuple[_Floats, _Indices]:
    """All segments of all drawings, in pixels: [pieces, 4] (x, y, dx, dy), and whose they are.

    None is longer than `longest` pixels, so that all fit one size of window.
    """
    strokes = [_stroke(stroke) for stroke in chain.from_iterable(drawings)]
    sizes = np.array([len(stroke) for stroke in strokes], dtype=np.intp)
    counts = np.array([len(drawing) for drawing in drawings], dtype=np.intp)
    if not sizes.sum():
        return np.empty((0, 4)), np.empty(0, dtype=np.intp)
    points = np.concatenate(strokes)
    if not np.abs(points).max() <= _FARTHEST:  # so written, it catches NaN too
        raise ValueError(
            f"coordinates must be numbers up to {_FARTHEST:g} units. "
            f"Received: {np.abs(points).max():g}"
        )
    owner = np.repeat(np.repeat(np.arange(len(drawings)), counts), sizes)
    first = np.flatnonzero(np.diff(owner, prepend=-1))
    middle = (np.minimum.reduceat(points, first) + np.maximum.reduceat(points, first)) / 2
    points -= np.repeat(middle, np.diff(first, append=len(points)), axis=0)
    points *= scale
    points += centre

    # A segment from each point to the next; a stroke's last point is one of length 0, which
    # costs little and makes a disc of a stroke that goes nowhere.
    along = np.diff(points, axis=0, append=points[-1:])
    along[np.cumsum(sizes)[sizes > 0] - 1] = 0
    shares = np.maximum(np.ceil(_length(along) / longest), 1).astype(np.intp)
    at = np.repeat(np.arange(len(points)), shares)
    number = np.arange(len(at)) - np.repeat(np.cumsum(shares) - shares, shares)
    step = along[at] / shares[at, None]
    return np.hstack([points[at] + step * number[:, None], step]), owner[at]


def _length(vectors: _Floats) -> _Floats:
    return np.sqrt(vectors[:, 0] * vectors[:, 0] + vectors[:, 1] * vectors[:, 1])


def _stroke(stroke: ArrayLike) -> _Floats:
    points = np.asarray(stroke, dtype=np.float64)
    if points.ndim == 2 and points.shape[1] == 2:
        return points
    if points.size == 0:
        return np.empty((0, 2))
    raise ValueError(f"a stroke must have the shape [points, 2]. Received: {points.shape}")


def _nearest(pieces: _Floats, owner: _Indices, reach: float, squares: NDArray[np.float32]) -> None:
    """Lower `squares` to the squared distance of each pixel's centre to the nearest piece.

    Only a window around each piece is looked at: every pixel within `reach` lies in it.
    """
    if not len(pieces):
        return
    side = squares.shape[1]
    longest = float(np.abs(pieces[:, 2:]).max())
    width = min(side, math.floor(longest + 2 * reach) + 1)
    grid = np.arange(width, dtype=np.intp)
    flat = squares.reshape(-1)
    for start in range(0, len(pieces), max(1, _BLOCK // width**2)):
        block = slice(start, start + max(1, _BLOCK // width**2))
        begin, step = pieces[block, :2], pieces[block, 2:]
        corner = np.ceil(np.minimum(begin, begin + step) - reach - 0.5)
        corner = np.clip(corner, 0, side - width).astype(np.intp)
        length = _length(step)
        unit = step / np.where(length > 0, length, 1)[:, None]
        unit[length == 0, 0] = 1  # a point has no direction: any will do
        offset = corner[:, :, None] + grid + (0.5 - begin)[:, :, None]  # [pieces, 2, width]

        def turned(weights: _Floats, offset: _Floats = offset) -> NDArray[np.float32]:
            parts = (offset * weights[:, :, None]).astype(np.float32)
            return parts[:, 1, :, None] + parts[:, 0, None, :]  # [pieces, y, x]

        across = turned(np.stack([-unit[:, 1], unit[:, 0]], axis=1))
        beyond = turned(unit)
        beyond -= np.clip(beyond, 0, length.astype(np.float32)[:, None, None])
        across *= across
        beyond *= beyond
        across += beyond
        rows = owner[block, None] * side + corner[:, 1, None] + grid
        pixels = (rows * side)[:, :, None] + (corner[:, 0, None] + grid)[:, None, :]
        np.minimum.at(flat, pixels.reshape(-1), across.reshape(-1))


def _ink(squares: NDArray[np.float32], radius: float) -> NDArray[np.uint8]:
    """The share of a pixel, seen as a unit interval, that a line of that radius covers."""
    distance = np.sqrt(squares)
    cover = np.minimum(distance + 0.5, radius) - np.maximum(distance - 0.5, -radius)
    ink: NDArray[np.uint8] = (np.clip(cover, 0, 1) * 255 + 0.5).astype(np.uint8)
    return ink
