"""The files of the splits, a category at a time: one read, hashed while they are written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from quickspine.dataset import SPLITS
from quickspine.dataset.prepare.disk_array import Column
from quickspine.dataset.prepare.npy import HashedNpy
from quickspine.dataset.records.flushing import Flushing
from quickspine.files import sha256
from quickspine.parallel import Stop, by_threads, go_on
from quickspine.sources.storage.category_file import CategoryFile
from quickspine.sources.storage.manifest import ENDINGS
from quickspine.sources.storage.pictures import PictureFile, kind_of, thumbnails
from quickspine.sources.storage.raw import Raw, RawFile
from quickspine.sources.storage.writing import Pictures

THUMBNAIL = 56  # pixels a side of pictures that are shown
DROPPED = 255  # in the column of splits: of no split


@dataclass(frozen=True)
class Divided:
    """What became of a category."""

    category: str
    rows: list[int]  # of each split
    sha256: list[str]  # of each split's file


def divided(
    raw: Raw, rows: Sequence[int], splits: Column, folder: Path, workers: int | None = None
) -> list[Divided]:
    """Write `<split>/<label, five digits>.npy` (or .zip) into `folder` for splits and categories.

    Args:
        raw: the images.
        rows: how many of each category, the first ones.
        splits: an index into SPLITS, or DROPPED, for each of them.
        folder: where to.
        workers: threads; as many as there are cores by default.
    """
    for name in SPLITS:
        (folder / name).mkdir()
    done = []
    jobs = _jobs(raw, rows, splits, folder)
    with Flushing() as flushing, closing(by_threads(_divide, jobs, workers)) as found:
        for label, one in enumerate(found):
            done.append(one)
            for path in _paths(raw, folder, label):
                flushing.add(path)
    return done


def first_training(
    raw: Raw, rows: Sequence[int], splits: Column, count: int
) -> dict[str, NDArray[np.uint8]]:
    """The first training images of each category, uint8 [up to `count`, h, w, channels]."""
    shown, start = {}, 0
    for file, own in zip(raw.files, rows, strict=True):
        chosen = np.flatnonzero(splits.read(start, own) == SPLITS.index("train"))[:count]
        start += own
        if isinstance(file, PictureFile):
            shown[file.category] = thumbnails(file.contents(chosen.tolist()), THUMBNAIL)
        elif isinstance(file, RawFile):
            shown[file.category] = _rows(file, chosen).reshape(-1, *raw.shape)
    return shown


def _rows(file: RawFile, chosen: NDArray[np.int64]) -> NDArray[np.uint8]:
    found, first = [np.empty((0, file.pixels), np.uint8)], 0
    if len(chosen):
        for chunk in file.chunks(stop=int(chosen[-1]) + 1):
            own = chosen[(first <= chosen) & (chosen < first + len(chunk))]
            found.append(chunk[own - first])
            first += len(chunk)
    return np.concatenate(found)


@dataclass(frozen=True)
class _Job:
    """A category to write to `paths`, one a split, as `found` says of each of its drawings."""

    file: CategoryFile
    found: NDArray[np.uint8]
    paths: list[Path]


def _paths(raw: Raw, folder: Path, label: int) -> list[Path]:
    return [folder / name / f"{label:05d}{ENDINGS[raw.encoding]}" for name in SPLITS]


def _jobs(raw: Raw, rows: Sequence[int], splits: Column, folder: Path) -> Iterator[_Job]:
    start = 0
    for label, (file, own) in enumerate(zip(raw.files, rows, strict=True)):
        yield _Job(file, splits.read(start, own), _paths(raw, folder, label))
        start += own


def _divide(job: _Job, stop: Stop) -> Divided:
    rows = np.bincount(job.found, minlength=DROPPED + 1)[: len(SPLITS)].tolist()
    if isinstance(job.file, PictureFile):
        sums = _divide_pictures(job, job.file, stop)
    else:
        assert isinstance(job.file, RawFile)  # noqa: S101 - there are two kinds
        sums = _divide_rows(job, job.file, rows, stop)
    return Divided(job.file.category, rows, sums)


def _divide_rows(job: _Job, raw: RawFile, rows: list[int], stop: Stop) -> list[str]:
    with ExitStack() as stack:
        files = [
            stack.enter_context(HashedNpy(path, count, raw.pixels))
            for path, count in zip(job.paths, rows, strict=True)
        ]
        start = 0
        for chunk in raw.chunks(stop=len(job.found)):
            go_on(stop)
            found = job.found[start : start + len(chunk)]
            start += len(chunk)
            for index, file in enumerate(files):
                file.append(np.take(chunk, np.flatnonzero(found == index), axis=0))
        return [file.close() for file in files]


def _divide_pictures(job: _Job, raw: PictureFile, stop: Stop) -> list[str]:
    for index, path in enumerate(job.paths):
        with Pictures(path) as file:
            for content in raw.contents(np.flatnonzero(job.found == index).tolist()):
                go_on(stop)
                file.append(content, kind_of(content))
    return [sha256(path) for path in job.paths]
