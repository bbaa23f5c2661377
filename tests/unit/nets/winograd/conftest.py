"""Winograd's matrices, made from their points alone: what the code under test must come to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
POINTS = (0.0, 0.5**0.5, -(0.5**0.5), 2**0.5, -(2**0.5))  # and infinity


@dataclass(frozen=True)
class Matrices:
    """Of F(4, 3): outputs are `outputs` @ (`weights` @ g * `inputs` @ d)."""

    inputs: Matrix  # [6, 6]
    outputs: Matrix  # [4, 6]
    weights: Matrix  # [6, 3]


@pytest.fixture(scope="session")
def matrices() -> Matrices:
    """By Toom and Cook: polynomials are evaluated at the points, and interpolated."""
    inputs, weights = np.zeros((6, 6)), np.zeros((6, 3))
    for row, point in enumerate(POINTS):
        others = [other for other in POINTS if other != point]
        inputs[row, :5] = np.poly(others)[::-1]  # lowest power first
        weights[row] = point ** np.arange(3) / np.prod([point - other for other in others])
    inputs[5], weights[5] = np.poly(POINTS)[::-1], (0, 0, 1)
    infinity = np.array([[0], [0], [0], [1]])
    outputs = np.hstack([np.vander(POINTS, 4, increasing=True).T, infinity])
    return Matrices(inputs, outputs, weights)
