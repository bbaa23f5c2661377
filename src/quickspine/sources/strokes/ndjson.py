"""Read and check Quick, Draw!'s ndjson files: one drawing a line, as pen strokes.

A line is a JSON object; `drawing` holds strokes, each of them lists of x, of y and, in the raw
files, of milliseconds. https://github.com/googlecreativelab/quickdraw-dataset#the-raw-moderated-dataset
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from quickspine.sources.download import DownloadError, FolderSession, Session, Version

Strokes = list[NDArray[np.float64]]  # each [points, 2]: x to the right, y downwards, 0 to 255
Coordinates = list[Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]]

LARGEST = 255.0  # units of a simplified drawing's longer side
FIRST = 1 << 16  # bytes asked for at first: about a hundred drawings
MOST = 1 << 20  # bytes asked for at once
LONGEST = 1 << 24  # bytes of a line: far more than any drawing has


class LineError(ValueError):
    """A line that is not a drawing; says why."""


class _Line(BaseModel):
    """Required fields, validated strictly; unknown fields are ignored."""

    model_config = ConfigDict(strict=True)

    word: str | None = None
    drawing: list[Annotated[list[Coordinates], Field(min_length=2, max_length=3)]]


def parse(line: bytes, category: str, raw: bool) -> Strokes:
    """Return the strokes of one line; none where the drawing is empty.

    A raw drawing has the pixels of the device it was drawn on. As Google did for the simplified
    ones, it is aligned to the top left corner and scaled, x and y alike, so that its longer side
    is 255. Google also spaced the points evenly and dropped those that lie within two units of
    their neighbours' line (Ramer, Douglas and Peucker); that is left out, since rendered it would
    only make curves angular.

    Args:
        line: without its end.
        category: the word that the line must have, if it has one.
        raw: whether it comes from the raw files.

    Raises:
        LineError: if it is anything else.
    """
    try:
        found = _Line.model_validate_json(line)
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, detail["loc"]))
        reason = f"{where}: {detail['msg']}" if where else detail["msg"]
        start = repr(line[:60].decode("utf-8", "replace"))
        raise LineError(f"not a drawing ({reason:.200}): {start}") from None
    if found.word not in (None, category):
        raise LineError(f"a drawing of {found.word!r:.60} rather than {category!r}")
    for x, y, *_ in found.drawing:
        if len(x) != len(y):
            raise LineError(f"a stroke with {len(x)} x and {len(y)} y")
    strokes = [np.array(stroke[:2], np.float64).T for stroke in found.drawing if stroke[0]]
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


def read_drawings(
    session: Session | FolderSession, url: str, category: str, raw: bool
) -> Iterator[Strokes]:
    """Yield the drawings of a mirror's file as `parse` returns them; lines of white space are none.

    Raises:
        LineError: if a line is not a drawing; names it.
        DownloadError: if the file cannot be had, or a line never ends.
    """
    for number, line in enumerate(_read_lines(session, url), 1):
        if line.strip():
            try:
                yield parse(line, category, raw)
            except LineError as error:
                raise LineError(f"line {number}: {error}") from None


def _read_lines(session: Session | FolderSession, url: str) -> Iterator[bytes]:
    """Yield the lines of a file without their ends, empty ones too.

    Each request is for as much again as came before, up to `MOST` where the server knows ranges:
    so much travels at most beyond the lines that are taken.
    """
    rest, at, known, ranged = b"", 0, Version(), True
    while known.size is None or at < known.size:
        size = max(FIRST, min(at, MOST) if ranged else at)
        request = functools.partial(_request, session, url, at, at + size, known if at else None)
        content, known, ranged = session.retry(request)
        if not content:
            break
        at += len(content)
        *whole, rest = (rest + content).split(b"\n")
        yield from whole
        if len(rest) > LONGEST:
            raise DownloadError(f"a line of more than {LONGEST:,} bytes: no drawings")
    if rest:
        yield rest


def _request(
    session: Session | FolderSession, url: str, start: int, stop: int, known: Version | None
) -> tuple[bytes, Version, bool]:
    try:
        with session.get(url, start, stop, known) as reply:
            return b"".join(reply.chunks), reply.version, reply.ranged
    except DownloadError as error:
        if error.status == 416 and start:  # it ends here; the server had not said where
            return b"", Version(), True
        raise
