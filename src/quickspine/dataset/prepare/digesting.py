"""Digests of all drawings of a raw folder, in their order, by as many workers as there are."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quickspine.dataset.prepare.content import digests
from quickspine.parallel import Stop, by_threads
from quickspine.sources.storage.category_file import CategoryFile, Hash
from quickspine.sources.storage.drawings import CHUNK

A_JOB = 8  # chunks
LANES_FROM = 100_000  # drawings: with fewer, to compile takes longer than it saves


def digested(
    files: Sequence[CategoryFile], rows: Sequence[int], workers: int | None = None
) -> Generator[NDArray[np.uint64], None, None]:
    """Yield the digests of the first `rows` images of each file, uint64 [n, 2] at a time.

    Close it (`contextlib.closing`) to end early.

    Raises:
        InputError: if a file is not what was fetched, before any digest of its drawings.
    """
    work = _digested_in_lanes if sum(rows) >= LANES_FROM else _digested
    return by_threads(work, _jobs(files, rows), workers)


@dataclass(frozen=True)
class _Job:
    """Drawings to make digests of; or, without any, a file to check before."""

    file: CategoryFile
    start: int = 0
    stop: int = 0


def _jobs(files: Sequence[CategoryFile], rows: Sequence[int]) -> Iterator[_Job]:
    for file, count in zip(files, rows, strict=True):
        yield _Job(file)
        size = A_JOB * CHUNK
        for start in range(0, count, size):
            yield _Job(file, start, min(start + size, count))


def _digested(job: _Job, stop: Stop, hashed: Hash = digests) -> NDArray[np.uint64]:
    if job.start == job.stop:
        job.file.check(stop)
        return np.empty((0, 2), np.uint64)
    return job.file.digests(job.start, job.stop, hashed)


def _digested_in_lanes(job: _Job, stop: Stop) -> NDArray[np.uint64]:
    from quickspine.dataset.prepare import lanes  # the compiler is not loaded where it does not pay

    return _digested(job, stop, lanes.digests)
