"""One byte a drawing, on disk: more drawings take no more memory."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

WINDOW = 1 << 20  # values changed at once


class Column:
    """Bytes that are appended in order, and then changed or read anywhere.

    Written and read, not mapped: a full disk is an error here, where a mapped file's first touch
    of a page that finds no room kills the process.

    Args:
        path: the file; it is removed at the end of `with`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("w+b")
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def __enter__(self) -> Column:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        self._path.unlink()

    def append(self, values: NDArray[np.uint8]) -> None:
        """Append uint8 [n]; all of it before anything is read or set."""
        self._file.write(np.ascontiguousarray(values).data)
        self._rows += len(values)

    def read(self, start: int, count: int) -> NDArray[np.uint8]:
        """The values from `start` on, uint8 [count], fewer at the end."""
        self._file.seek(start)
        return np.frombuffer(self._file.read(count), np.uint8)

    def set(self, rows: NDArray[np.int64], value: int) -> int:
        """Set the values of ascending `rows`, int64 [k]; return how many were another one."""
        changed = 0
        edges = np.searchsorted(rows, np.arange(0, self._rows + WINDOW, WINDOW))
        for window, (first, last) in enumerate(pairwise(edges)):
            if first == last:
                continue
            start = window * WINDOW
            values = self.read(start, WINDOW).copy()
            chosen = rows[first:last] - start
            changed += int((values[chosen] != value).sum())
            values[chosen] = value
            self._file.seek(start)
            self._file.write(values.data)
        return changed
