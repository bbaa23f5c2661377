"""The files of the splits, a category at a time: one read, hashed while they are written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from quickspine.dataset import SPLITS
from quickspine.dataset.column import Column
from quickspine.dataset.flushing import Flushing
from quickspine.dataset.npy import HashedNpy
from quickspine.dataset.raw import Raw, RawFile
from quickspine.parallel import Stop, by_threads, go_on

DROPPED = 255  # in the column of splits: of no split


@dataclass(frozen=True)
class Divided:
    """What became of a category."""

    category: str
    rows: list[int]  # of each split
    sha256: list[str]  # of each split's file


def divided(
    raw: Raw, limit: int, splits: Column, folder: Path, workers: int | None = None
) -> list[Divided]:
    """Write `<split>/<label, five digits>.npy` into `folder` for every split and category.

    Args:
        raw: the drawings.
        limit: how many of each category, the first ones.
        splits: an index into SPLITS, or DROPPED, for each of them.
        folder: where to.
        workers: threads; as many as there are cores by default.
    """
    for name in SPLITS:
        (folder / name).mkdir()
    done = []
    jobs = _jobs(raw, limit, splits, folder)
    with Flushing() as flushing, closing(by_threads(_divide, jobs, workers)) as found:
        for label, one in enumerate(found):
            done.append(one)
            for path in _paths(folder, label):
                flushing.add(path)
    return done


def first_training(
    raw: Raw, limit: int, splits: Column, count: int
) -> dict[str, NDArray[np.uint8]]:
    """The first training drawings of each category, uint8 [up to `count`, pixels]."""
    shown, start = {}, 0
    for file in raw.files:
        rows = min(file.rows, limit)
        chosen = np.flatnonzero(splits.read(start, rows) == SPLITS.index("train"))[:count]
        start += rows
        found = [np.empty((0, file.pixels), np.uint8)]
        if len(chosen):
            first = 0
            for chunk in file.chunks(stop=int(chosen[-1]) + 1):
                own = chosen[(first <= chosen) & (chosen < first + len(chunk))]
                found.append(chunk[own - first])
                first += len(chunk)
        shown[file.category] = np.concatenate(found)
    return shown


@dataclass(frozen=True)
class _Job:
    """A category to write to `paths`, one a split, as `found` says of each of its drawings."""

    file: RawFile
    found: NDArray[np.uint8]
    paths: list[Path]


def _paths(folder: Path, label: int) -> list[Path]:
    return [folder / name / f"{label:05d}.npy" for name in SPLITS]


def _jobs(raw: Raw, limit: int, splits: Column, folder: Path) -> Iterator[_Job]:
    start = 0
    for label, file in enumerate(raw.files):
        rows = min(file.rows, limit)
        yield _Job(file, splits.read(start, rows), _paths(folder, label))
        start += rows


def _divide(job: _Job, stop: Stop) -> Divided:
    rows = np.bincount(job.found, minlength=DROPPED + 1)[: len(SPLITS)].tolist()
    with ExitStack() as stack:
        files = [
            stack.enter_context(HashedNpy(path, count, job.file.pixels))
            for path, count in zip(job.paths, rows, strict=True)
        ]
        start = 0
        for chunk in job.file.chunks(stop=len(job.found)):
            go_on(stop)
            found = job.found[start : start + len(chunk)]
            start += len(chunk)
            for index, file in enumerate(files):
                file.append(np.take(chunk, np.flatnonzero(found == index), axis=0))
        sums = [file.close() for file in files]
    return Divided(job.file.category, rows, sums)
