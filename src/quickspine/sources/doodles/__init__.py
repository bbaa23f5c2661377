"""Drawings made by quickspine itself, in the format of Quick, Draw!'s bitmaps: no network needed.

24 stroke programs say what things consist of, in several ways each; a simulated hand varies,
forgets, trembles and sometimes gives up. Drawing `index` of a category depends on the seed, the
category and the index alone. A core draws about 3,000 a second.
"""

from __future__ import annotations

from contextlib import closing
from itertools import islice
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from quickspine.parallel import Stop, by_processes, cores
from quickspine.params import Data
from quickspine.sources import Collection
from quickspine.sources.doodles.drawing import draw
from quickspine.sources.storage import npy
from quickspine.sources.storage.writing import Rows, entry
from quickspine.space import need_space

SYNTHETIC = True
LICENCE = "CC0-1.0"
ATTRIBUTION = "Drawn by quickspine's stroke programs, not by people."

_CHUNK = 1024  # drawings a job: about a third of a second
_ALONE = 4 * _CHUNK  # up to so many drawings, starting processes takes longer than it saves

Job = tuple[str, int, int, int]  # the arguments of `draw`: category, seed, start, stop


def fetch(data: Data, folder: Path) -> Collection:
    """Draw `data.drawings_per_category` drawings of each category into `folder`.

    Memory does not grow with their number. Where there is much to draw, every core helps.

    Returns:
        One `Fetched` a category, in the order of `data.categories`.

    Raises:
        NoSpaceError: if the disk is too full.
    """
    rows, total = data.limit, data.limit * len(data.categories)
    need_space(folder.parent, total * npy.ROW, "lower data.drawings_per_category")
    starts = range(0, rows, _CHUNK)
    jobs = (
        (category, data.seed, start, min(start + _CHUNK, rows))
        for category in data.categories
        for start in starts
    )
    processes = 1 if total <= _ALONE else cores()
    bar = tqdm(total=total, desc="doodles", unit=" drawings", mininterval=0.5, disable=None)
    entries = []
    with bar, closing(by_processes(_draw, jobs, processes)) as chunks:
        for category in data.categories:
            with Rows(folder / f"{category}.npy", npy.ROW) as written:
                for chunk in islice(chunks, len(starts)):
                    written.append(chunk.reshape(len(chunk), -1))
                    bar.update(len(chunk))
            url = f"quickspine:doodles/{quote(category)}?seed={data.seed}"
            entries.append(entry(category, written, url))
    return Collection(entries)


def _draw(job: Job, stop: Stop) -> NDArray[np.uint8]:
    return draw(*job)
