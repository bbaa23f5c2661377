"""Equal drawings, found in bounded memory: digests are dealt to files small enough to sort."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from quickspine.parallel import Stop, by_threads, cores

# Sorting one bucket takes about 100 MB; as many buckets as that needs are open at once.
DRAWINGS_A_BUCKET = 1_000_000
SORTED_AT_ONCE = 4  # buckets at most
RANK, NUMBER = np.uint64(56), np.uint64(2**56 - 1)  # share a word: its high bits, its low ones
ENTRY = 24  # bytes on disk a drawing, until the end of `with`


class DuplicateFinder:
    """Remembers digests on disk, then names every drawing that repeats an earlier one.

    Example:
        with DuplicateFinder(folder, expected=1_000_000) as finder:
            finder.add(digests)          # in the order of the drawings
            for repeated in finder.repeated():
                keep[repeated] = False

    Args:
        folder: where the bucket files go; they are removed at the end.
        expected: how many drawings to expect; only memory depends on it.
    """

    def __init__(self, folder: Path, expected: int) -> None:
        self._count = max(1, -(-expected // DRAWINGS_A_BUCKET))
        self._paths = [folder / f"digests-{bucket:04d}" for bucket in range(self._count)]
        self._files = [path.open("w+b") for path in self._paths]
        self._seen = 0

    def __enter__(self) -> DuplicateFinder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for file, path in zip(self._files, self._paths, strict=True):
            file.close()
            path.unlink()

    def add(self, content: NDArray[np.uint64], ranks: NDArray[np.uint64] | None = None) -> None:
        """Add the digests, uint64 [n, 2], of the next n drawings.

        Args:
            content: the digests.
            ranks: uint64 [n] below 256: of equal drawings, the one of the lowest rank counts as
                the first one. Those of rank 1 repeat none, not even each other. None: all have 2.
        """
        rows = np.empty((len(content), 3), np.uint64)
        rows[:, :2] = content
        rows[:, 2] = np.arange(self._seen, self._seen + len(content), dtype=np.uint64)
        rows[:, 2] |= (np.uint64(2) if ranks is None else ranks) << RANK
        self._seen += len(content)
        buckets = content[:, 1] % np.uint64(self._count)
        for bucket, file in enumerate(self._files):
            file.write(rows[buckets == bucket].tobytes())

    def repeated(self) -> Iterator[NDArray[np.int64]]:
        """Yield the numbers, int64 [k], of drawings that equal one added before them."""
        for file in self._files:
            file.flush()
        yield from by_threads(_repeated, self._paths, min(cores(), SORTED_AT_ONCE))


def _repeated(path: Path, stop: Stop) -> NDArray[np.int64]:
    """Those of one bucket."""
    rows = _near(np.fromfile(path, np.uint64).reshape(-1, 3))
    rows = rows[np.lexsort((rows[:, 2], rows[:, 1], rows[:, 0]))]
    equal = (rows[1:, :2] == rows[:-1, :2]).all(axis=1)
    equal &= rows[1:, 2] >> RANK > 1
    return np.sort((rows[1:, 2][equal] & NUMBER).astype(np.int64))


def _near(rows: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Those rows whose first word another one has too: few, so the others need no full sort."""
    first = np.ascontiguousarray(rows[:, 0])
    order = np.argsort(first)
    same = np.flatnonzero(first[order[1:]] == first[order[:-1]])
    return rows[order[np.union1d(same, same + 1)]]
