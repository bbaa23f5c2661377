"""Preprocess: choose images of data/raw, drop blank and repeated ones, and split the rest.

The result is a table and not a second copy of the pixels. Memory: about 24 bytes an image, most of
them its digest.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quickspine.dataset.prepare.contact_sheet import contact_sheet, thumbnails
from quickspine.dataset.prepare.content import (
    digests,
    digests_of_files,
    position,
    repeats,
    split_of,
)
from quickspine.dataset.prepare.table import NAME, ROW_BYTES, write_table
from quickspine.errors import InputError
from quickspine.files import digest, sha256, whole_folder, write_manifest
from quickspine.params import SPLITS, Params, Split
from quickspine.sources.storage.raw import CategoryFile, Raw
from quickspine.space import need_space

TRAIN, VALIDATION, TEST = range(len(SPLITS))
DROPPED = 255  # the split of images that are left out
SHEET_COLUMNS = 16  # images a category on the contact sheet
SHEET_BYTES = 4096  # of a category on the contact sheet
THUMBNAIL = 56  # pixels a side of pictures on the contact sheet


def preprocess(
    params: Params, raw_folder: Path, place: Path, workers: int | None = None
) -> dict[str, Any]:
    """Choose, deduplicate and split; write `place` whole or not at all.

    `place` then holds `images.parquet` (see `table`), `manifest.json` and `contact-sheet.png`. An
    image that stands in several categories stays in the first.

    Args:
        params: what to choose, and the shares of the splits.
        raw_folder: what fetch made.
        place: the subset's folder.
        workers: threads; as many as there are cores by default.

    Returns:
        The manifest.

    Raises:
        InputError: if the raw folder is damaged or a split would be empty.
        NoSpaceError: if the disk has no room for it, before any image is read.
    """
    raw = Raw(raw_folder, params.data.categories)
    limit = params.data.limit
    fewer_will_do = params.data.allow_fewer or params.data.drawings_per_category is None
    if min(raw.rows) < limit and not fewer_will_do:
        raise InputError(
            f"data.drawings_per_category: {limit} asked for, {min(raw.rows)} in {raw_folder}; "
            "run: dvc repro fetch"
        )
    # A source with a test split of its own has obeyed the limit in each split.
    rows = [file.rows if has_own_test(raw.files) else min(file.rows, limit) for file in raw.files]
    needed = sum(rows) * ROW_BYTES + len(rows) * SHEET_BYTES
    need_space(place, needed, "lower data.drawings_per_category")
    with whole_folder(place) as folder:
        content = digests_of_files(raw.files, rows, workers)
        nothing = None if raw.has_pictures else digests([bytes(raw.pixels)])
        splits, blank, repeated = assign_splits(raw.files, content, params.split, nothing)
        del content
        starts = np.cumsum([0, *rows])
        per_category = [
            np.bincount(splits[start:end], minlength=DROPPED + 1) for start, end in pairwise(starts)
        ]
        counts = {
            name: {
                category: int(own[index])
                for category, own in zip(raw.categories, per_category, strict=True)
            }
            for index, name in enumerate(SPLITS)
        }
        _check_counts(counts, params)
        write_table(folder / NAME, rows, splits)
        shown = _first_training(raw, starts, splits)
        contact_sheet(shown, folder / "contact-sheet.png", SHEET_COLUMNS)
        raw.check_unchanged()
        return write_manifest(
            folder / "manifest.json",
            {
                **raw.facts,
                "categories": list(raw.categories),
                "raw": digest(raw.manifest),
                "chosen": sum(rows),
                "blank": blank,
                "duplicates": repeated,
                "splits": {
                    name: {"drawings": sum(counts[name].values()), "categories": counts[name]}
                    for name in SPLITS
                },
                "images": {"file": NAME, "sha256": sha256(folder / NAME)},
            },
        )


def has_own_test(files: Sequence[CategoryFile]) -> bool:
    """Whether the source has a test split of its own."""
    return any(file.given is not None and file.given[TEST] for file in files)


def assign_splits(
    files: Sequence[CategoryFile],
    content: NDArray[np.uint64],
    split: Split,
    nothing: NDArray[np.uint64] | None,
) -> tuple[NDArray[np.uint8], int, int]:
    """Decide the split of each image.

    Without a test split of the source's own, content decides, by the shares. A test split that it
    has is kept whole, and images that equal one of it are dropped elsewhere; where there is no
    validation split, content takes one out of training, as large as the shares of the two say.

    Args:
        files: of the categories.
        content: uint64 [n, 2], digests of the images, one file behind the other.
        split: the shares.
        nothing: uint64 [1, 2], the digest of a blank image; None: there are none.

    Returns:
        uint8 [n], indices into SPLITS or DROPPED; how many were blank; how many repeat another.
    """
    ranks, kept = None, np.zeros(len(content), bool)
    if has_own_test(files):
        counts = np.array([file.given or (0,) * len(SPLITS) for file in files])
        splits = np.tile(np.arange(len(SPLITS), dtype=np.uint8), len(files)).repeat(counts.ravel())
        ranks, kept = TEST - splits, splits == TEST
        if not counts[:, VALIDATION].any():
            share = split.train / (split.train + split.validation)
            splits[(splits == TRAIN) & (position(content) >= share)] = VALIDATION
    else:
        splits = split_of(content, split)
    blank = np.zeros(len(content), bool)
    if nothing is not None:
        blank = (content == nothing).all(axis=1) & ~kept
    repeated = repeats(content, ranks) & ~kept & ~blank
    splits[blank | repeated] = DROPPED
    return splits, int(blank.sum()), int(repeated.sum())


def _first_training(
    raw: Raw, starts: NDArray[np.int64], splits: NDArray[np.uint8]
) -> dict[str, NDArray[np.uint8]]:
    """The first training images of each category, uint8 [up to SHEET_COLUMNS, h, w, channels]."""
    shown = {}
    for file, (start, end) in zip(raw.files, pairwise(starts), strict=True):
        rows = np.flatnonzero(splits[start:end] == TRAIN)[:SHEET_COLUMNS]
        contents = file.read(rows.tolist(), Event())
        if raw.has_pictures:
            shown[file.category] = thumbnails(contents, THUMBNAIL)
        else:
            pixels = np.frombuffer(b"".join(contents), np.uint8)
            shown[file.category] = pixels.reshape(-1, *raw.shape)
    return shown


def _check_counts(counts: dict[str, dict[str, int]], params: Params) -> None:
    for name in SPLITS:
        missing = [category for category, rows in counts[name].items() if rows == 0]
        if missing and (name == "train" or len(missing) == len(counts[name])):
            share, asked = getattr(params.split, name), params.data.drawings_per_category
            raise InputError(
                f"split.{name}: {share} of {asked or 'all'} images leaves none for "
                f"{', '.join(map(repr, missing))}; raise data.drawings_per_category or split.{name}"
            )
