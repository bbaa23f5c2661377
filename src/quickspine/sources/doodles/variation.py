"""What a hand does to every drawing: leaves out, repeats, trembles, leans, and gives up.

A stroke program says what a thing consists of; here it becomes a drawing that somebody made in
a few seconds with a mouse or a finger.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from quickspine.sources.doodles.hand import Hand
from quickspine.sources.doodles.strokes import Stroke
from quickspine.sources.rasteriser import FRAME

_STEP = 8.0  # of 100 across, between points: fine enough for wobble, coarse enough to be quick
_UNFINISHED = 0.035  # share of the drawings that stop half-way
_FORGOTTEN = 0.025  # chance of each stroke after the first to be missing
_AGAIN = 0.06  # chance of a stroke drawn twice
_STRAY = 0.03  # chance of a stray mark

_Floats = NDArray[np.float64]
_Indices = NDArray[np.intp]


def as_drawn(strokes: list[Stroke], hand: Hand) -> list[Stroke]:
    """The strokes as this hand draws them.

    Args:
        strokes: what the thing consists of, in the order of drawing, about 100 across.
        hand: whose they are.

    Returns:
        Float [points, 2] strokes; the longer side of their bounding box is 255 units.
    """
    points, sizes = _dense(_chosen(strokes, hand))
    points = _placed(points, sizes, hand)
    points = _rounded(points, sizes, hand)
    points = _trembled(points, hand)
    points = _leaning(_bent(points, hand), hand)
    if hand.chance(_UNFINISHED):
        points = points[: math.ceil(len(points) * hand.between(0.4, 0.8))]
    points = _fitted(points)
    ends = sizes.cumsum()
    starts = (ends - sizes).tolist()
    return [points[a:b] for a, b in zip(starts, ends.tolist(), strict=True) if a < len(points)]


def _chosen(strokes: list[Stroke], hand: Hand) -> list[Stroke]:
    """Some strokes are forgotten, some drawn twice, some are not of the thing at all."""
    chosen = strokes[:1] + [stroke for stroke in strokes[1:] if not hand.chance(_FORGOTTEN)]
    if hand.chance(_AGAIN):
        chosen.append(chosen[hand.count(0, len(chosen) - 1)])
    if hand.chance(_STRAY):
        begin, reach = hand.rng.uniform(-50, 50, 2), hand.rng.uniform(-30, 30, 2)
        chosen.append(np.stack([begin, begin + reach]))
    return chosen


def _dense(strokes: list[Stroke]) -> tuple[_Floats, _Indices]:
    """One array of all points, at most a step apart, and the number of points a stroke."""
    points = np.concatenate(strokes)
    ends = np.array([len(stroke) for stroke in strokes], dtype=np.intp).cumsum()
    along = np.zeros_like(points)
    np.subtract(points[1:], points[:-1], out=along[:-1])
    along[ends - 1] = 0
    far = np.hypot(along[:, 0], along[:, 1])
    shares = np.maximum(np.ceil(far * (1 / _STEP)), 1).astype(np.intp)
    before = shares.cumsum()
    at = np.arange(len(points)).repeat(shares)
    number = np.arange(before[-1]) - (before - shares)[at]
    dense = points[at] + along[at] * (number / shares[at])[:, None]
    sizes = before[ends - 1]
    sizes[1:] -= before[ends[:-1] - 1]
    return dense, sizes


def _placed(points: _Floats, sizes: _Indices, hand: Hand) -> _Floats:
    """Each stroke a little off its place, and its width and height off their size."""
    off = hand.rng.standard_normal((len(sizes), 4)) * hand.sloppiness
    off *= (1.4, 1.4, 0.04, 0.04)
    off[:, :2] -= points[sizes.cumsum() - sizes] * off[:, 2:]
    each = off.repeat(sizes, axis=0)
    placed: _Floats = points + points * each[:, 2:] + each[:, :2]
    return placed


def _rounded(points: _Floats, sizes: _Indices, hand: Hand) -> _Floats:
    """Hasty corners are round: each point moves towards the middle of its neighbours."""
    share = np.full((len(points), 1), min(0.9, hand.between(0, 0.5) * hand.sloppiness))
    ends = sizes.cumsum()
    share[ends - 1] = 0
    share[ends - sizes] = 0
    middle = (points[:-2] + points[2:]) * 0.5
    rounded = points.copy()
    rounded[1:-1] += (middle - points[1:-1]) * share[1:-1]
    return rounded


def _trembled(points: _Floats, hand: Hand) -> _Floats:
    """The pen strays from its path and comes back: noise, smooth along the stroke."""
    window = hand.count(3, 7)
    noise = hand.rng.standard_normal((len(points) + window, 2)).cumsum(axis=0)
    amount = hand.between(0.5, 1.4) * hand.sloppiness / math.sqrt(window)
    trembled: _Floats = points + (noise[window:] - noise[:-window]) * amount
    return trembled


def _bent(points: _Floats, hand: Hand) -> _Floats:
    """Parts of the drawing out of proportion: each axis is displaced along the other."""
    x, y = points.T
    bend, swell = hand.near(0, 2.8 * hand.sloppiness), hand.near(0, 2.8 * hand.sloppiness)
    wave = 2 * math.pi * hand.between(0.3, 1.1) / 100
    start, turn = hand.between(0, 2 * math.pi), hand.between(0, 2 * math.pi)
    return np.stack([x + np.sin(y * wave + start) * bend, y + np.sin(x * wave + turn) * swell], 1)


def _leaning(points: _Floats, hand: Hand) -> _Floats:
    """The whole drawing turned, slanted, and stretched."""
    angle = math.radians(hand.near(0, 22 if hand.chance(0.15) else 8))
    stretch, slant = math.exp(hand.near(0, 0.11)), hand.near(0, 0.09)
    cos, sin = math.cos(angle), math.sin(angle)
    lean = np.array([[stretch, 0], [slant, 1 / stretch]])
    turn = np.array([[cos, sin], [-sin, cos]])
    leaning: _Floats = points @ (lean @ turn)
    return leaning


def _fitted(points: _Floats) -> _Floats:
    """Scaled so that the longer side is 255 units, as in Quick, Draw!'s simplified drawings."""
    x, y = points.T
    left, top = x.min(), y.min()
    size = max(float(x.max() - left), float(y.max() - top), 1e-9)
    fitted: _Floats = (points - (left, top)) * ((FRAME - 1) / size)
    return fitted
