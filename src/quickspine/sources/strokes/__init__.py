"""Quick, Draw!'s ndjson files: Google's drawings as strokes, rendered here at any size.

The first drawings of each category from `full/simplified` or `full/raw` of `data.mirror`, white
on black, as Google drew its 28×28 bitmaps of them. Of a file only the first lines travel. All
drawings are taken, recognised or not, as in Google's bitmaps; those without a point are passed
over, since Google has none. A line that is not a drawing is refused: the file is damaged.
"""

from __future__ import annotations

import sys
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

from tqdm import tqdm

from quickspine.errors import InputError
from quickspine.parallel import Stop, by_processes, cores, go_on
from quickspine.params import Data
from quickspine.sources import Collection, Fetched, mirror, quickdraw
from quickspine.sources.download import DownloadError, FolderSession, Session, connect, peek
from quickspine.sources.npy_prefix import check_rows
from quickspine.sources.rasteriser import rasterise
from quickspine.sources.storage.writing import Rows, entry
from quickspine.sources.strokes.ndjson import LineError, read_drawings
from quickspine.space import need_space

SYNTHETIC = False
LICENCE = quickdraw.LICENCE
ATTRIBUTION = quickdraw.ATTRIBUTION

SIDE = 28  # pixels, where data.image_size is null
_BLOCK = 1 << 24  # bytes of bitmaps drawn at once at most: bounds memory
_ALONE = 2000  # up to so many drawings, starting processes takes longer than it saves


@dataclass(frozen=True)
class _Job:
    category: str
    place: mirror.Place
    file: Path
    data: Data


def fetch(data: Data, folder: Path) -> Collection:
    """Render the first `data.drawings_per_category` drawings of each category into `folder`.

    Every core renders; each has one block of drawings in memory.

    Returns:
        One `Fetched` a category, in the order of `data.categories`; the files are numbered by
        label and hold uint8 [rows, side * side] in C order.

    Raises:
        InputError: names every category that cannot be had, its URL, and what would do; or
            the line of a file that is no drawing.
        NoSpaceError: if the disk is too full.
    """
    place = mirror.parse(data.mirror, mirror.STROKES[data.strokes])
    side, count = data.image_size or SIDE, len(data.categories)
    most = "up to " if data.allow_fewer else ""
    print(
        f"fetch: {count:,} categories × {most}{data.limit:,} {data.strokes} drawings at "  # noqa: RUF001
        f"{side} x {side} pixels from {place.shown}",
        file=sys.stderr,
        flush=True,
    )
    if not data.allow_fewer:
        need = count * data.limit * side**2
        need_space(folder.parent, need, "lower data.drawings_per_category or data.image_size")
    place = _find_files(data, place)
    jobs = [
        _Job(category, place, folder / f"{label:05d}.npy", data)
        for label, category in enumerate(data.categories)
    ]
    processes = 1 if count * data.limit <= _ALONE else min(cores(), count)
    failed: dict[str, InputError] = {}
    entries, empty = list[Fetched](), 0
    bar = tqdm(total=count, desc="fetch", unit=" categories", mininterval=0.5, disable=None)
    with bar, closing(by_processes(_render, jobs, processes)) as results:
        for job, result in zip(jobs, results, strict=True):
            bar.update()
            if isinstance(result, InputError):
                failed[job.category] = result
            else:
                entries.append(result[0])
                empty += result[1]
    if failed:
        raise quickdraw.summarize(failed, count, place)
    if empty:
        print(f"fetch: {empty:,} drawings without a point passed over", file=sys.stderr)
    return Collection(entries, (side, side, 1))


def _find_files(data: Data, place: mirror.Place) -> mirror.Place:
    """Return the place in its final layout, once every category's file was seen there."""
    with connect(place) as session:
        settled = quickdraw.find_layout(session, place, data)
        urls = {name: settled.request_url(name) for name in data.categories}
        quickdraw.gather(
            lambda name: peek(session, urls[name]), data.categories, settled, session.stop
        )
    return settled


def _render(job: _Job, stop: Stop) -> tuple[Fetched, int] | InputError:
    """Render one category's drawings; return its entry, and how many drawings are empty."""
    url = job.place.url(job.category)
    try:
        with connect(job.place, cast(Any, stop)) as session:
            rows, empty = _write(job, session, stop)
        check_rows(url, rows.rows, job.data)
    except (LineError, DownloadError) as error:
        remedy = "run it again, or set data.mirror to another one"
        if isinstance(error, LineError):
            remedy = "have the file there mended, or set data.mirror to another one"
        return InputError(f"{url}: {error}; {remedy}")
    except InputError as error:
        return error
    return entry(job.category, rows, url), empty


def _write(job: _Job, session: Session | FolderSession, stop: Stop) -> tuple[Rows, int]:
    side, limit, empty = job.data.image_size or SIDE, job.data.limit, 0
    block = max(1, min(256, _BLOCK // (4 * side**2)))  # the rasteriser has four bytes a pixel
    url, raw = job.place.request_url(job.category), job.data.strokes == "raw"
    drawings = read_drawings(session, url, job.category, raw)
    with Rows(job.file, side**2) as rows:
        while some := list(islice(drawings, min(block, limit - rows.rows))):
            drawn = [strokes for strokes in some if strokes]
            empty += len(some) - len(drawn)
            rows.append(rasterise(drawn, side).reshape(len(drawn), side**2))
            go_on(stop)
    return rows, empty
