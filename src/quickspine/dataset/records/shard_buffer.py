"""All drawings of a split in one file, those of a shard together; it shrinks as shards are taken.

How many drawings each shard gets is known before, so every drawing is written to its place at
once, whichever category comes first, by any number of threads.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Pile:
    """Drawings with their labels on disk, dealt to shards.

    Written and read, not mapped: a full disk is an error, not the end of the process.

    Args:
        path: the file; it is removed at the end of `with`.
        pixels: of a drawing.
        sizes: drawings of each shard, int64 [shards].
    """

    def __init__(self, path: Path, pixels: int, sizes: NDArray[np.int64]) -> None:
        self.row = np.dtype([("label", "<u4"), ("pixels", "u1", (pixels,))])
        self.starts = np.concatenate([[0], np.cumsum(sizes)])
        self._left = len(sizes)
        self._path, self._file = path, path.open("w+b", buffering=0)
        self._busy = threading.Lock()

    def __enter__(self) -> Pile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        self._path.unlink()

    def deal(
        self,
        label: int,
        drawings: NDArray[np.uint8],
        shards: NDArray[Any],
        following: NDArray[np.int64],
    ) -> None:
        """Write each drawing to its shard, in their order; several threads may, each its own rows.

        Args:
            label: of all of them.
            drawings: uint8 [n, pixels].
            shards: the shard of each, unsigned [n].
            following: the row of the pile that each shard's next drawing takes; moved on.
        """
        order = np.argsort(shards, kind="stable")
        chosen = shards[order]
        rows = np.empty(len(order), self.row)
        rows["label"], rows["pixels"] = label, drawings[order]
        content = rows.view(np.uint8).data
        firsts = np.flatnonzero(np.diff(chosen, prepend=chosen[:1] + 1))
        size, file = self.row.itemsize, self._file.fileno()
        edges = [*(firsts * size).tolist(), len(content)]
        places = following[chosen[firsts]] * size
        for first, last, place in zip(edges, edges[1:], places.tolist(), strict=False):
            _write(file, content[first:last], place)
        following[chosen[firsts]] += np.diff(firsts, append=len(order))

    def take(self) -> tuple[int, NDArray[Any]]:
        """The number of the last shard that is left, and its rows of `row`; its room is freed."""
        with self._busy:
            self._left -= 1
            first, last = self.starts[self._left : self._left + 2].tolist()
            rows = np.empty(last - first, self.row)
            size = self.row.itemsize
            self._file.seek(first * size)
            content = rows.view(np.uint8).data
            while content:  # the system reads 2 GiB at once at most
                read = self._file.readinto(content)
                if not read:
                    raise OSError("the pile of drawings became shorter while it was read")
                content = content[read:]
            self._file.truncate(first * size)
            return self._left, rows


def _write(file: int, content: memoryview, place: int) -> None:
    """A disk that fills up takes a part, and then raises OSError."""
    while content:
        size = os.pwrite(file, content, place)
        content, place = content[size:], place + size
