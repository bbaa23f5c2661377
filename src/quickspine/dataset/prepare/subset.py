"""Preprocess: from raw drawings to three splits that share no drawing.

Read twice: once for digests, which name repeats and decide splits, and once to write the splits.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from quickspine.dataset import SPLITS
from quickspine.dataset.prepare.contact_sheet import contact_sheet
from quickspine.dataset.prepare.content import digests
from quickspine.dataset.prepare.digesting import digested
from quickspine.dataset.prepare.disk_array import Column
from quickspine.dataset.prepare.duplicates import ENTRY, DuplicateFinder
from quickspine.dataset.prepare.source_splits import ALWAYS, Assignment
from quickspine.dataset.prepare.write_splits import DROPPED, divided, first_training
from quickspine.errors import InputError
from quickspine.files import digest, whole_folder, write_json
from quickspine.params import Params
from quickspine.sources.storage.manifest import PICTURES, pixels_of
from quickspine.sources.storage.raw import Raw
from quickspine.space import need_space

SHEET_COLUMNS = 16  # drawings a category on the contact sheet


def preprocess(
    params: Params, raw_folder: Path, place: Path, workers: int | None = None
) -> dict[str, Any]:
    """Choose, deduplicate and split; write `place` whole or not at all.

    `place` then holds `<split>/<label, five digits>.npy` (uint8 [rows, pixels]; of pictures .zip),
    `manifest.json` and `contact-sheet.png`. A drawing that stands in several categories stays in
    the first. Splits that the source has are kept, see `given.Assignment`: a test split whole, and
    what equals one of its images is dropped from the others.

    Args:
        params: what to choose, and the shares of the splits.
        raw_folder: what fetch made.
        place: the subset's folder.
        workers: threads; as many as there are cores by default.

    Returns:
        The manifest.

    Raises:
        InputError: if the raw folder is damaged or a split would be empty.
        NoSpaceError: if the disk has no room for it, before anything is read.
    """
    raw = Raw(raw_folder, params.data.categories)
    limit = params.data.limit
    fewer_will_do = params.data.allow_fewer or params.data.drawings_per_category is None
    if min(raw.rows) < limit and not fewer_will_do:
        raise InputError(
            f"data.drawings_per_category: {limit} asked for, {min(raw.rows)} in {raw_folder}; "
            "run: dvc repro fetch"
        )
    assignment = Assignment(raw.files, limit, params.split)
    rows, total = assignment.rows, sum(assignment.rows)
    # The images, and for a while a digest, a number and a split of each.
    if raw.encoding == PICTURES:
        size = sum(file.path.stat().st_size for file in raw.files if file.path.exists())
    else:
        size = total * pixels_of(raw.manifest)
    need_space(place, size + total * (ENTRY + 1), "lower data.drawings_per_category")
    with whole_folder(place) as folder:
        with Column(folder / "splits") as splits:
            blank, repeated = _assign(raw, assignment, splits, folder, workers)
            shown = first_training(raw, rows, splits, SHEET_COLUMNS)
            with ThreadPoolExecutor(1) as beside:  # to pack a picture takes one core for a while
                sheet = beside.submit(
                    contact_sheet, shown, folder / "contact-sheet.png", SHEET_COLUMNS
                )
                written = divided(raw, rows, splits, folder, workers)
            sheet.result()
        counts = {
            name: {one.category: one.rows[index] for one in written}
            for index, name in enumerate(SPLITS)
        }
        _check_counts(counts, params)
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


def _assign(
    raw: Raw, assignment: Assignment, splits: Column, folder: Path, workers: int | None
) -> tuple[int, int]:
    """Fill `splits`, a split or DROPPED for each image; return how many were blank, repeated."""
    blank = repeated = 0
    rows = assignment.rows
    nothing = None
    if raw.encoding != PICTURES:
        nothing = digests(np.zeros((1, pixels_of(raw.manifest)), np.uint8))
    with (
        DuplicateFinder(folder, sum(rows)) as finder,
        closing(digested(raw.files, rows, workers)) as found,
    ):
        for content in found:
            split, ranks = assignment.next(content)
            finder.add(content, ranks)
            if nothing is not None:
                empty = (content == nothing).all(axis=1) & (ranks > ALWAYS)
                split[empty] = DROPPED
                blank += int(empty.sum())
            splits.append(split)
        for numbers in finder.repeated():
            repeated += splits.set(numbers, DROPPED)
    return blank, repeated


def _check_counts(counts: dict[str, dict[str, int]], params: Params) -> None:
    for name in SPLITS:
        missing = [category for category, rows in counts[name].items() if rows == 0]
        if missing and (name == "train" or len(missing) == len(counts[name])):
            share, asked = getattr(params.split, name), params.data.drawings_per_category
            raise InputError(
                f"split.{name}: {share} of {asked or 'all'} drawings leaves none for "
                f"{', '.join(map(repr, missing))}; raise data.drawings_per_category or split.{name}"
            )
