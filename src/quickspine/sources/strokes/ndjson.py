"""Read and check Quick, Draw!'s ndjson files: one drawing a line, as pen strokes.

A line is a JSON object; `drawing` holds strokes, each of them lists of x, of y and, in the raw
files, of milliseconds. https://github.com/googlecreativelab/quickdraw-dataset#the-raw-moderated-dataset
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from quickspine.sources.download import DownloadError, FolderSession, Session, Version

Strokes = list[NDArray[np.float64]]  # each [points, 2]: x to the right, y downwards, 0 to 255
Coordinates = list[Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]]

LARGEST = 255.0  # units of a simplified drawing's longer side
FIRST = 1 << 14  # bytes asked for before it is known how long lines are
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


class RangeReader:
    """Read a file of a mirror by ranges, each requested again after a fault that may pass."""

    def __init__(self, session: Session | FolderSession, url: str) -> None:
        self._session, self._url = session, url
        self._at = 0
        self._known: Version | None = None
        self._ranged = True

    def read(self, size: int) -> bytes:
        """Return the next bytes, about `size`; none at the end.

        Raises:
            DownloadError: if they cannot be had.
        """
        if self._known and self._known.size is not None and self._at >= self._known.size:
            return b""
        if not self._ranged:  # as much again as was sent before: in all at most twice the need
            size = max(size, self._at)
        content = self._session.retry(lambda: self._ask(size))
        self._at += len(content)
        return content

    def _ask(self, size: int) -> bytes:
        start = self._at
        try:
            with self._session.get(self._url, start, start + size, self._known) as reply:
                self._known, self._ranged = reply.version, reply.ranged
                return b"".join(reply.chunks)
        except DownloadError as error:
            if error.status == 416 and start:  # it ends here; the server had not said where
                return b""
            raise


def read_lines(read: Callable[[int], bytes], wanted: int) -> Iterator[bytes]:
    """Yield a file's lines without their ends, empty ones too.

    Args:
        read: returns the next bytes, at most as many as asked for; none at the end.
        wanted: how many lines will be taken, about: only what they need is asked for.

    Raises:
        DownloadError: if the file cannot be had, or a line never ends.
    """
    rest, given, length = b"", 0, 0
    while True:
        left = max(wanted - given, 1)
        size = length // given * left + length // given if given else FIRST
        content = read(min(max(size, 1 << 12), MOST))
        if not content:
            break
        *whole, rest = (rest + content).split(b"\n")
        for line in whole:
            given, length = given + 1, length + len(line) + 1
            yield line
        if len(rest) > LONGEST:
            raise DownloadError(f"a line of more than {LONGEST:,} bytes: no drawings")
    if rest:
        yield rest
