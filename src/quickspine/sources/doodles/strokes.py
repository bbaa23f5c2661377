"""The geometry of strokes: lines, arcs and curves, as float [points, 2] arrays.

x grows to the right and y downwards; the unit is whatever a drawing takes (about 100 across).
Angles are degrees: 0 points to the right, 90 downwards.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray

Stroke = NDArray[np.float64]
Point = tuple[float, float]

_PER_SPAN = 5  # points a span of a curve: finer than the pen is wide


def line(*corners: Point) -> Stroke:
    """Straight from corner to corner, float [corners, 2]; one corner is a dot."""
    return np.array(corners, dtype=np.float64)


def arc(centre: Point, across: float, down: float, start: float, sweep: float) -> Stroke:
    """Part of an ellipse with the radii `across` and `down`, from angle `start` on."""
    points = max(4, math.ceil(abs(sweep) / 18) + 1)
    angles = ramp(points) * math.radians(sweep) + math.radians(start)
    stroke = np.empty((points, 2))
    stroke[:, 0] = np.cos(angles) * across + centre[0]
    stroke[:, 1] = np.sin(angles) * down + centre[1]
    return stroke


@functools.cache
def ramp(points: int) -> NDArray[np.float64]:
    """Evenly from 0 to 1, float [points]; kept, since linspace takes as long as the rest."""
    values = np.linspace(0, 1, points)
    values.flags.writeable = False
    return values


def curve(*knots: Point) -> Stroke:
    """A smooth curve through the knots, float [points, 2]; three knots or more."""
    stroke: Stroke = _catmull_rom(len(knots)) @ np.array(knots, dtype=np.float64)
    return stroke


@functools.cache
def _catmull_rom(knots: int) -> Stroke:
    """The matrix [points, knots] that takes knots to points of a Catmull-Rom spline."""
    t = np.linspace(0, 1, _PER_SPAN, endpoint=False)
    weights = np.stack(
        [
            -0.5 * t + t**2 - 0.5 * t**3,
            1 - 2.5 * t**2 + 1.5 * t**3,
            0.5 * t + 2 * t**2 - 1.5 * t**3,
            -0.5 * t**2 + 0.5 * t**3,
        ],
        axis=1,
    )
    matrix = np.zeros(((knots - 1) * _PER_SPAN + 1, knots))
    for span in range(knots - 1):
        rows = slice(span * _PER_SPAN, (span + 1) * _PER_SPAN)
        for column in range(4):  # the ends count twice
            matrix[rows, min(max(span - 1 + column, 0), knots - 1)] += weights[:, column]
    matrix[-1, -1] = 1
    return matrix


def turned(strokes: list[Stroke], degrees: float) -> list[Stroke]:
    """The strokes, turned clockwise around the origin."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    matrix = np.array([[cos, sin], [-sin, cos]])
    return [stroke @ matrix for stroke in strokes]


def mirrored(strokes: list[Stroke]) -> list[Stroke]:
    """The strokes, left and right exchanged."""
    return [stroke * (-1, 1) for stroke in strokes]
