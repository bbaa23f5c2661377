"""Drawings made by quickspine itself, in the format of Quick, Draw!'s bitmaps: no network needed.

24 stroke programs say what things consist of, in several ways each; a simulated hand varies,
forgets, trembles and sometimes gives up. Drawing `index` of a category depends on the seed, the
category and the index alone. A core draws about 3,000 a second.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from quickspine import categories as known
from quickspine.errors import InputError
from quickspine.files import sha256
from quickspine.parallel import cores
from quickspine.params import Data
from quickspine.sources import Collection, Fetched
from quickspine.sources.doodles.workers import Job, drawn
from quickspine.sources.storage import npy
from quickspine.space import need_space

SYNTHETIC = True
LICENCE = "CC0-1.0"
ATTRIBUTION = "Drawn by quickspine's stroke programs, not by people."

_CHUNK = 1024  # drawings a job: about a third of a second
_ALONE = 4 * _CHUNK  # up to so many drawings, starting processes takes longer than it saves


def fetch(data: Data, folder: Path) -> Collection:
    """Draw `data.drawings_per_category` drawings of each category into `folder`.

    Memory does not grow with their number. Where there is much to draw, every core helps.

    Returns:
        One `Fetched` a category, in the order of `data.categories`.

    Raises:
        InputError: if a category is not among the doodles.
        NoSpaceError: if the disk is too full.
    """
    _check(data, folder)
    total = data.limit * len(data.categories)
    processes = 1 if total <= _ALONE else cores()
    bar = tqdm(total=total, desc="doodles", unit=" drawings", mininterval=0.5, disable=None)
    with bar, closing(drawn(_jobs(data), processes)) as chunks:
        entries = [_write(category, data, chunks, folder, bar) for category in data.categories]
    return Collection(entries)


def _check(data: Data, folder: Path) -> None:
    for category in data.categories:
        problem = known.unknown(category, known.DOODLES)
        if problem:
            raise InputError(
                f"data.categories: {category!r}: {problem} among the doodles; "
                f"set data.source: quickdraw, or use {', '.join(known.DOODLES)}"
            )
    needed = data.limit * len(data.categories) * npy.ROW
    need_space(folder.parent, needed, "lower data.drawings_per_category")


def _jobs(data: Data) -> Iterator[Job]:
    rows = data.limit
    for category in data.categories:
        for start in range(0, rows, _CHUNK):
            yield category, data.seed, start, min(start + _CHUNK, rows)


def _write(
    category: str,
    data: Data,
    chunks: Iterator[NDArray[np.uint8]],
    folder: Path,
    bar: tqdm[Any],
) -> Fetched:
    """Take the category's chunks and write them as numpy would write the whole array."""
    place = folder / f"{category}.npy"
    rows = data.limit
    with place.open("wb") as file:
        file.write(npy.header(rows))
        written = 0
        while written < rows:
            chunk = next(chunks)
            file.write(chunk.data)
            written += len(chunk)
            bar.update(len(chunk))
    return Fetched(
        category=category,
        file=place.name,
        url=f"quickspine:doodles/{quote(category)}?seed={data.seed}",
        rows=rows,
        bytes=place.stat().st_size,
        sha256=sha256(place),
    )
