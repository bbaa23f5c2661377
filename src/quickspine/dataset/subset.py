"""Preprocess: from raw drawings to three splits that share no drawing.

Read twice: once for digests, which name repeats and decide splits, and once to write the splits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quickspine.dataset import SPLITS
from quickspine.dataset.column import Column
from quickspine.dataset.content import digests, split_of
from quickspine.dataset.duplicates import ENTRY, DuplicateFinder
from quickspine.dataset.flushing import Flushing
from quickspine.dataset.npy import HashedNpy
from quickspine.dataset.raw import CHUNK, Raw, RawFile
from quickspine.errors import WrongInputError
from quickspine.files import digest, whole_folder, write_json
from quickspine.parallel import Stop, by_processes, by_threads, go_on
from quickspine.params import Params
from quickspine.sources.contact_sheet import contact_sheet
from quickspine.space import need_space

SHEET_COLUMNS = 16  # drawings a category on the contact sheet
DROPPED = 255  # in the column of splits
PROCESSES_FROM = 1_000_000  # drawings: with fewer, processes take longer to start than they save


def preprocess(
    params: Params, raw_folder: Path, place: Path, workers: int | None = None
) -> dict[str, Any]:
    """Choose, deduplicate and split; write `place` whole or not at all.

    `place` then holds `<split>/<label, five digits>.npy` (uint8 [rows, pixels]), `manifest.json`
    and `contact-sheet.png`. A drawing that stands in several categories stays in the first.

    Args:
        params: what to choose, and the shares of the splits.
        raw_folder: what fetch made.
        place: the subset's folder.
        workers: processes or threads; as many as there are cores by default.

    Returns:
        The manifest.

    Raises:
        WrongInputError: if the raw folder is damaged or a split would be empty.
        NoSpaceError: if the disk has no room for it, before anything is read.
    """
    raw = Raw(raw_folder, params.data.categories)
    limit = params.data.drawings_per_category
    if min(raw.rows) < limit and not params.data.allow_fewer:
        raise WrongInputError(
            f"data.drawings_per_category: {limit} asked for, {min(raw.rows)} in {raw_folder}; "
            "run: dvc repro fetch"
        )
    total = sum(min(rows, limit) for rows in raw.rows)
    # The drawings, and for a while a digest, a number and a split of each.
    need_space(place, total * (raw.side**2 + ENTRY + 1), "lower data.drawings_per_category")
    with whole_folder(place) as folder:
        with Column(folder / "splits") as splits:
            blank, repeated = _assign(params, raw, limit, splits, folder, workers)
            written = _write(raw, limit, splits, folder, workers)
        counts = {
            name: {one.category: one.rows[index] for one in written}
            for index, name in enumerate(SPLITS)
        }
        _check_counts(counts, params)
        sheet = {one.category: one.shown.reshape(-1, raw.side, raw.side) for one in written}
        contact_sheet(sheet, folder / "contact-sheet.png", SHEET_COLUMNS)
        manifest = {
            **raw.facts,
            "categories": list(raw.categories),
            "chosen": total,
            "blank": blank,
            "duplicates": repeated,
            "splits": {
                name: {
                    "drawings": sum(counts[name].values()),
                    "categories": counts[name],
                    "sha256": digest([one.sha256[index] for one in written]),
                }
                for index, name in enumerate(SPLITS)
            },
        }
        raw.check_unchanged()
        write_json(folder / "manifest.json", manifest)
    return manifest


@dataclass(frozen=True)
class _Digesting:
    """Drawings to make digests of; or, without any, the file to check before."""

    file: RawFile
    start: int = 0
    stop: int = 0


def _digested(job: _Digesting, stop: Stop) -> NDArray[np.uint64]:
    """The digests, uint64 [n, 2], of a job's drawings."""
    if job.start == job.stop:
        job.file.check(stop)
        return np.empty((0, 2), np.uint64)
    chunks = job.file.chunks(job.start, job.stop, job.stop - job.start)
    return digests(next(chunks))


def _digesting(raw: Raw, limit: int) -> Iterator[_Digesting]:
    """All drawings in a fixed order, each file checked before its drawings are looked at."""
    for file in raw.files:
        yield _Digesting(file)
        rows = min(file.rows, limit)
        for start in range(0, rows, CHUNK):
            yield _Digesting(file, start, min(start + CHUNK, rows))


def _assign(
    params: Params, raw: Raw, limit: int, splits: Column, folder: Path, workers: int | None
) -> tuple[int, int]:
    """Fill `splits`, a split or DROPPED for each drawing; return how many were blank, repeated."""
    blank = repeated = 0
    total = sum(min(rows, limit) for rows in raw.rows)
    nothing = digests(np.zeros((1, raw.side**2), np.uint8))
    # A digest of 784 bytes holds Python's global lock: threads would wait for each other.
    several = by_processes if total >= PROCESSES_FROM else by_threads
    with (
        DuplicateFinder(folder, total) as finder,
        closing(several(_digested, _digesting(raw, limit), workers)) as found,
    ):
        for content in found:
            finder.add(content)
            split = split_of(content, params.split)
            empty = (content == nothing).all(axis=1)
            split[empty] = DROPPED
            blank += int(empty.sum())
            splits.append(split)
        for numbers in finder.repeated():
            repeated += splits.set(numbers, DROPPED)
    return blank, repeated


@dataclass(frozen=True)
class _Writing:
    """A category to write: to `paths`, one a split, what `found` says, a split or DROPPED each."""

    file: RawFile
    found: NDArray[np.uint8]
    paths: list[Path]


@dataclass(frozen=True)
class _Written:
    """What became of a category."""

    category: str
    rows: list[int]  # of each split
    sha256: list[str]  # of each split's file
    shown: NDArray[np.uint8]  # its first drawings of the first split, for the contact sheet


def _written(job: _Writing, stop: Stop) -> _Written:
    rows = np.bincount(job.found, minlength=DROPPED + 1)[: len(job.paths)].tolist()
    shown: list[NDArray[np.uint8]] = []
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
            shown.extend(chunk[found == 0][: SHEET_COLUMNS - len(shown)])
        sums = [file.close() for file in files]
    return _Written(job.file.category, rows, sums, np.array(shown, np.uint8))


def _write(
    raw: Raw, limit: int, splits: Column, folder: Path, workers: int | None
) -> list[_Written]:
    """Write the files of the splits; return what became of each category."""
    for name in SPLITS:
        (folder / name).mkdir()

    def jobs() -> Iterator[_Writing]:
        start = 0
        for label, file in enumerate(raw.files):
            rows = min(file.rows, limit)
            paths = [folder / name / f"{label:05d}.npy" for name in SPLITS]
            yield _Writing(file, splits.read(start, rows), paths)
            start += rows

    done = []
    with Flushing() as flushing, closing(by_threads(_written, jobs(), workers)) as written:
        for label, one in enumerate(written):
            done.append(one)
            for name in SPLITS:
                flushing.add(folder / name / f"{label:05d}.npy")
    return done


def _check_counts(counts: dict[str, dict[str, int]], params: Params) -> None:
    for name in SPLITS:
        missing = [category for category, rows in counts[name].items() if rows == 0]
        if missing and (name == "train" or len(missing) == len(counts[name])):
            share = getattr(params.split, name)
            raise WrongInputError(
                f"split.{name}: {share} of {params.data.drawings_per_category} drawings leaves "
                f"none for {', '.join(map(repr, missing))}; raise data.drawings_per_category or "
                f"split.{name}"
            )
