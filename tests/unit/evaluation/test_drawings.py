from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from quickspine.evaluation.drawings import address, are_light, png

BITMAP = np.arange(28 * 28, dtype=np.uint16).reshape(28, 28, 1).astype(np.uint8)


def test_white_on_black_becomes_ink_on_paper() -> None:
    with Image.open(io.BytesIO(png(BITMAP))) as picture:
        assert (picture.format, picture.mode, picture.size) == ("PNG", "L", (28, 28))
        assert (np.asarray(picture) == 255 - BITMAP[..., 0]).all()


def test_same_drawing_same_bytes_and_small() -> None:
    blank = np.zeros((28, 28), np.uint8)
    assert png(BITMAP) == png(BITMAP[..., 0]) == png(BITMAP.copy())
    assert len(png(blank)) < 120


def test_address() -> None:
    head, _, code = address(png(BITMAP)).partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(code, validate=True) == png(BITMAP)


@pytest.mark.parametrize(
    "bitmap",
    [np.zeros((28, 28, 2), np.uint8), np.zeros(784, np.uint8), np.zeros((28, 28), np.float32)],
)
def test_what_is_no_drawing_is_refused(bitmap: Any) -> None:
    with pytest.raises(ValueError, match="Received"):
        png(bitmap)


def test_colours_stay_and_grey_ones_turn_by_what_they_show() -> None:
    """A colour image is as it is; light strokes become ink, a grey photograph stays."""
    colours = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    grey = colours[..., :1]
    assert np.array_equal(opened(png(colours)), colours)
    assert np.array_equal(opened(png(grey, light=False)), grey[..., 0])
    assert np.array_equal(opened(png(grey)), 255 - grey[..., 0])
    assert are_light([grey, grey + 60])
    assert not are_light([255 - grey])
    assert not are_light([])


def opened(content: bytes) -> Any:
    with Image.open(io.BytesIO(content)) as picture:
        return np.asarray(picture)
