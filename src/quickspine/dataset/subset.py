"""Preprocess: from raw drawings to three splits that share no drawing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quickspine.dataset import SPLITS
from quickspine.dataset.column import Column
from quickspine.dataset.content import digests, split_of
from quickspine.dataset.duplicates import ENTRY, DuplicateFinder
from quickspine.dataset.npy import GrowingNpy
from quickspine.dataset.raw import Raw, split_digest
from quickspine.errors import WrongInputError
from quickspine.files import whole_folder, write_json
from quickspine.params import Params
from quickspine.sources.contact_sheet import contact_sheet
from quickspine.space import need_space

SHEET_COLUMNS = 16  # drawings a category on the contact sheet
UINT8 = np.dtype(np.uint8)
DROPPED = 255  # in the column of splits


def preprocess(params: Params, raw_folder: Path, place: Path) -> dict[str, Any]:
    """Choose, deduplicate and split; write `place` whole or not at all.

    `place` then holds `<split>/<label, five digits>.npy` (uint8 [rows, pixels]), `manifest.json`
    and `contact-sheet.png`. A drawing that stands in several categories stays in the first.

    Args:
        params: what to choose, and the shares of the splits.
        raw_folder: what fetch made.
        place: the subset's folder.

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
    raw.check()
    with whole_folder(place) as folder:
        with Column(folder / "splits") as splits:
            blank, repeated = _assign(params, raw, limit, splits, folder)
            counts, sheet = _write(raw, limit, splits, folder)
        _check_counts(counts, params)
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
                    "sha256": split_digest(folder / name, len(raw.categories)),
                }
                for name in SPLITS
            },
        }
        raw.check_unchanged()
        write_json(folder / "manifest.json", manifest)
    return manifest


def _each(raw: Raw, limit: int) -> Iterator[NDArray[np.uint8]]:
    """Yield all drawings in chunks, in a fixed order."""
    for label in range(len(raw.categories)):
        yield from raw.chunks(label, limit)


def _assign(params: Params, raw: Raw, limit: int, splits: Column, folder: Path) -> tuple[int, int]:
    """Fill `splits`, a split or DROPPED for each drawing; return how many were blank, repeated."""
    blank = repeated = 0
    with DuplicateFinder(folder, sum(min(rows, limit) for rows in raw.rows)) as finder:
        for chunk in _each(raw, limit):
            content = digests(chunk)
            finder.add(content)
            found = split_of(content, params.split)
            empty = ~chunk.any(axis=1)
            found[empty] = DROPPED
            blank += int(empty.sum())
            splits.append(found)
        for numbers in finder.repeated():
            repeated += splits.set(numbers, DROPPED)
    return blank, repeated


def _write(
    raw: Raw, limit: int, splits: Column, folder: Path
) -> tuple[dict[str, dict[str, int]], dict[str, NDArray[np.uint8]]]:
    """Write the files of the splits; return their counts and the contact sheet's drawings."""
    side = raw.side
    counts: dict[str, dict[str, int]] = {name: {} for name in SPLITS}
    sheet: dict[str, NDArray[np.uint8]] = {}
    for name in SPLITS:
        (folder / name).mkdir()
    start = 0
    for label, category in enumerate(raw.categories):
        shown: list[NDArray[np.uint8]] = []
        with ExitStack() as stack:
            files = [
                stack.enter_context(
                    GrowingNpy(folder / name / f"{label:05d}.npy", (side * side,), UINT8)
                )
                for name in SPLITS
            ]
            for chunk in raw.chunks(label, limit):
                found = splits.read(start, len(chunk))
                start += len(chunk)
                for index, file in enumerate(files):
                    file.append(chunk[found == index])
                shown.extend(chunk[found == 0][: SHEET_COLUMNS - len(shown)])
        for name, file in zip(SPLITS, files, strict=True):
            counts[name][category] = file.rows
        sheet[category] = np.array(shown, np.uint8).reshape(-1, side, side)
    return counts, sheet


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
