"""Ink where the strokes are, as much as they have, and nowhere else."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from quickspine.sources.rasteriser import rasterise

Strokes = list[NDArray[np.float64]]

coordinates = st.floats(0, 255, width=32)
stroke = arrays.arrays(np.float64, st.tuples(st.integers(1, 6), st.just(2)), elements=coordinates)
drawing = st.lists(stroke, min_size=1, max_size=4)


def one(
    strokes: Strokes, side: int = 28, line: float = 16.0, padding: float = 16.0
) -> NDArray[np.int64]:
    (bitmap,) = rasterise([strokes], side, line, padding)
    return np.asarray(bitmap, dtype=np.int64)


def line(*points: tuple[float, float]) -> NDArray[np.float64]:
    return np.array(points, dtype=np.float64)


@settings(deadline=None)
@given(drawing)
def test_mirrored_strokes_make_a_mirrored_bitmap(strokes: Strokes) -> None:
    bitmap = one(strokes)
    assert np.abs(one([s * (-1, 1) for s in strokes]) - bitmap[:, ::-1]).max() <= 1
    assert np.abs(one([s * (1, -1) for s in strokes]) - bitmap[::-1]).max() <= 1
    assert np.abs(one([s[:, ::-1] for s in strokes]) - bitmap.T).max() <= 1


@settings(deadline=None)
@given(drawing)
def test_a_drawing_leaves_ink_inside_its_padding(strokes: Strokes) -> None:
    bitmap = one(strokes)
    assert bitmap.max() > 100
    # 16 units of padding are 1.47 pixels: the outermost ring stays empty.
    assert not bitmap[[0, -1]].any()
    assert not bitmap[:, [0, -1]].any()


@settings(deadline=None)
@given(st.lists(drawing, max_size=5))
def test_each_drawing_is_the_same_beside_any_others(drawings: list[Strokes]) -> None:
    together = rasterise([*drawings, *reversed(drawings)])
    alone = [rasterise([strokes])[0] for strokes in drawings]
    assert together.shape == (2 * len(drawings), 28, 28)
    assert together.dtype == np.uint8
    assert all(np.array_equal(a, b) for a, b in zip(together, [*alone, *alone[::-1]], strict=True))


def test_a_blank_drawing_is_zeros_and_disturbs_no_other() -> None:
    cross = [line((0, 0), (255, 255))]
    empty: Strokes = [np.empty((0, 2))]
    sheet = rasterise([[], cross, empty, [[]], [*empty, *cross, *empty]])
    assert not sheet[[0, 2, 3]].any()
    assert np.array_equal(sheet[1], one(cross))
    assert np.array_equal(sheet[4], sheet[1])
    assert rasterise([]).shape == (0, 28, 28)


@pytest.mark.parametrize("side", [28, 56, 280])
@pytest.mark.parametrize("degrees", [0, 30, 45, 90])
def test_a_line_has_the_ink_of_its_area(side: int, degrees: float) -> None:
    x, y = 200 * math.cos(math.radians(degrees)), 200 * math.sin(math.radians(degrees))
    scale = side / (256 + 2 * 16 + 16)
    area = (200 * 16 + math.pi * 8**2) * scale**2
    assert one([line((0, 0), (x, y))], side).sum() / 255 == pytest.approx(area, rel=0.025)


def test_caps_and_joins_are_round() -> None:
    """The bitmap of a bent line is the union of discs along it."""
    corners = line((0, 0), (255, 40), (60, 255))
    bitmap = one([corners], 304)  # a pixel a unit
    at = np.stack(np.meshgrid(np.arange(304) + 0.5, np.arange(304) + 0.5), axis=-1)
    shifted = corners + 304 / 2 - np.array((255, 255)) / 2
    nearest = np.full((304, 304), np.inf)
    for begin, end in ((0, 1), (1, 2)):
        for share in np.linspace(0, 1, 200):  # dents of .04 units in the union
            centre = shifted[begin] + (shifted[end] - shifted[begin]) * share
            nearest = np.minimum(nearest, np.hypot(*(at - centre).transpose(2, 0, 1)))
    assert (bitmap[nearest < 7.4] == 255).all()
    assert not bitmap[nearest > 8.6].any()


def test_what_lies_beyond_the_frame_is_cut_off() -> None:
    wide = one([line((0, 0), (1000, 0)), line((500, -100), (500, 100))])
    assert wide[13, 0] > 0
    assert wide[13, -1] > 0
    assert wide[:4].sum() == 0  # the upright line reaches up to 100 units above the middle
    assert wide[4:24].any(axis=1).all()


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((3, 3)), np.zeros(4), [[math.nan, 0]], [[0, math.inf]], [[0, 1e9]]],
)
def test_what_is_no_stroke_is_refused(wrong: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match="Received"):
        rasterise([[wrong]])


@pytest.mark.parametrize(
    "sizes", [(0, 16, 16), (28, 0, 16), (28, 16, -1), (28, math.nan, 16), (28, 16, math.inf)]
)
def test_sizes_out_of_range_are_refused(sizes: tuple[int, float, float]) -> None:
    with pytest.raises(ValueError, match="Received"):
        rasterise([], *sizes)
