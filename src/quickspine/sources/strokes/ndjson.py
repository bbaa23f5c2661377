"""Lines of Quick, Draw!'s ndjson files, judged and made into strokes in a frame of 256 units.

A line is a JSON object; `drawing` holds strokes, each of them lists of x, of y and, in the raw
files, of milliseconds. https://github.com/googlecreativelab/quickdraw-dataset#the-raw-moderated-dataset
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

Strokes = list[NDArray[np.float64]]  # each [points, 2]: x to the right, y downwards, 0 to 255

LARGEST = 255.0  # units of a simplified drawing's longer side


class LineError(ValueError):
    """A line that is no drawing; says why."""


def parse(line: bytes, category: str, raw: bool) -> Strokes:
    """The strokes of one line; none where the drawing is empty.

    A raw drawing has the pixels of the device it was drawn on. As Google did for the simplified
    ones, it is aligned to the top left corner and scaled, x and y alike, so that its longer side
    is 255. Google also spaced the points evenly and dropped those that lie within two units of
    their neighbours' line (Ramer, Douglas and Peucker); rendered, that is not wanted: it would
    only make curves angular.

    Args:
        line: without its end.
        category: what the line must say it shows, if it says so.
        raw: whether it comes from the raw files.

    Raises:
        LineError: if it is anything else.
    """
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise LineError(f"no JSON: {_shown(line)}") from None
    if not isinstance(value, dict) or not isinstance(value.get("drawing"), list):
        raise LineError(f"no object with a drawing: {_shown(line)}")
    if value.get("word", category) != category:
        raise LineError(f"a drawing of {_shown(value['word'])} rather than {category!r}")
    strokes = [each for each in map(_stroke, value["drawing"]) if len(each)]
    if not strokes:
        return []
    points = np.concatenate(strokes)
    low, high = points.min(axis=0), points.max(axis=0)
    if not raw:
        if low.min() < 0 or high.max() > LARGEST:
            raise LineError(
                f"coordinates from {low.min():g} to {high.max():g}; a simplified drawing has 0 to "
                "255"
            )
        return strokes
    extent = float((high - low).max())
    scale = LARGEST / extent if extent > 0 else 1.0
    return [(stroke - low) * scale for stroke in strokes]


def _stroke(stroke: Any) -> NDArray[np.float64]:
    if not isinstance(stroke, list) or len(stroke) not in (2, 3):
        raise LineError(f"a stroke that is not lists of x and of y: {_shown(stroke)}")
    x, y = _numbers(stroke[0]), _numbers(stroke[1])
    if len(x) != len(y):
        raise LineError(f"a stroke with {len(x)} x and {len(y)} y")
    return np.stack([x, y], axis=1)


def _numbers(values: Any) -> NDArray[np.float64]:
    # A type at a time: numpy would make numbers of texts and of true.
    if not isinstance(values, list) or not {type(value) for value in values} <= {int, float}:
        raise LineError(f"coordinates that are no numbers: {_shown(values)}")
    try:
        numbers = np.array(values, dtype=np.float64)
    except OverflowError:  # an integer of hundreds of digits
        numbers = np.array([np.inf])
    if not np.all(np.abs(numbers) < 1e9):
        raise LineError(f"coordinates that are no pixels: {_shown(values)}")
    return numbers


def _shown(value: Any) -> str:
    text = value[:60].decode("utf-8", "replace") if isinstance(value, bytes) else repr(value)
    return repr(text[:60]) if isinstance(value, bytes) else text[:60]
