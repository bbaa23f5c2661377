"""Google's drawings: the first ones of each category, from `data.mirror`.

28×28 grey drawings of the Quick, Draw! data set, https://github.com/googlecreativelab/quickdraw-dataset,
white strokes on black. Of a file of 90 to 250 MB only the header and the drawings asked for travel.
"""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from quickspine import files
from quickspine.errors import InputError
from quickspine.params import Data
from quickspine.sources import Collection, Fetched, mirror
from quickspine.sources.download import (
    DownloadError,
    FolderSession,
    Session,
    TransientError,
    connect,
    peek,
)
from quickspine.sources.npy_prefix import NpyPrefix, TooFewError
from quickspine.sources.storage import npy
from quickspine.space import naming, need_space

SYNTHETIC = False
LICENCE = "CC BY 4.0"
ATTRIBUTION = (
    "The Quick, Draw! Dataset, made available by Google, Inc. "
    "(https://github.com/googlecreativelab/quickdraw-dataset)"
)
WORKERS = 8  # categories at once

T = TypeVar("T")


def fetch(data: Data, folder: Path) -> Collection:
    """Write the first `data.drawings_per_category` drawings of each category into `folder`.

    What comes from a web mirror is kept under `quickspine.files.STATE` until all is there, and
    the next try asks for the rest.

    Returns:
        One `Fetched` a category, in the order of `data.categories`; `<category>.npy` holds uint8
        [rows, 784] in C order.

    Raises:
        InputError: names every category that cannot be had, its URL, and what would do.
    """
    place = mirror.parse(data.mirror)
    count, each = len(data.categories), data.limit
    most = ("up to ", "at most ") if data.allow_fewer else ("", "")
    print(
        f"fetch: {count:,} categories × {most[0]}{each:,} drawings"  # noqa: RUF001 (times, not x)
        f" = {most[1]}{count * each * npy.ROW / 1e6:,.1f} MB from {place.shown}",
        file=sys.stderr,
        flush=True,
    )
    if isinstance(place, mirror.Folder):
        return Collection(_fetch(data, place, folder, folder))
    kept = files.STATE / "downloads"
    with files.lock("downloads"), naming(kept, "what came so far is kept"):
        kept.mkdir(parents=True, exist_ok=True)
        entries = _fetch(data, place, kept, folder)
        shutil.rmtree(kept)
    return Collection(entries)


def _fetch(data: Data, place: mirror.Place, kept: Path, folder: Path) -> list[Fetched]:
    """Read the first drawings of each category into `kept`, then put them into `folder`."""
    same_disk = folder.stat().st_dev == kept.stat().st_dev
    with connect(place) as session:
        place = find_layout(session, place, data)
        names = data.categories
        wanted = {name: NpyPrefix(data, place, name, kept, session) for name in names}
        gather(lambda name: wanted[name].look(), names, place, session.stop)
        total = sum(each.body for each in wanted.values())
        remedy = "lower data.drawings_per_category, or ask for fewer data.categories"
        need_space(kept, total - sum(each.have for each in wanted.values()), remedy)
        if not same_disk:
            need_space(folder.parent, total, remedy)
        busy = threading.Lock()
        interval = 0.1 if sys.stderr.isatty() else 10.0  # seconds between two lines of a log
        with tqdm(
            total=total, desc="fetch", unit="B", unit_scale=True, mininterval=interval
        ) as bar:

            def take(name: str) -> Fetched:
                each = wanted[name]
                each.take(advance)
                size, sha256 = each.target.stat().st_size, files.sha256(each.target)
                return Fetched(name, mirror.file_name(name), each.url, each.rows, size, sha256)

            def advance(size: int) -> None:
                with busy:
                    bar.update(size)

            entries = gather(take, names, place, session.stop)
    for entry in entries:
        came, target = wanted[entry.category].target, folder / entry.file
        if same_disk:
            came.rename(target)
        else:  # a full disk there then costs no download
            shutil.copyfile(came, target)
    return entries


def find_layout(session: Session | FolderSession, place: mirror.Place, data: Data) -> mirror.Place:
    """Find the folder of a web mirror that holds the files, by the first few categories.

    Raises:
        InputError: if the server does not answer.
    """
    if isinstance(place, mirror.Folder):
        return place
    layouts = place.layouts()
    for category, layout in product(data.categories[: mirror.PROBED], layouts):
        try:
            peek(session, layout.request_url(category))
        except DownloadError as error:
            if error.status is None:
                raise InputError(
                    f"data.mirror: no answer from {place.shown} when looking for {category} "
                    f"({error}); check the network, or set data.mirror to another URL or a folder"
                ) from None
            if error.status in mirror.ABSENT:
                continue
        return layout
    return layouts[0]


def gather(
    work: Callable[[str], T], names: Sequence[str], place: mirror.Place, stop: threading.Event
) -> list[T]:
    """Call `work` for every category, some at once; then raise one error for all that failed.

    Where another exception, or a signal, ends this early, `stop` ends the other threads.
    """

    def one(name: str) -> T | InputError:
        try:
            return work(name)
        except InputError as error:
            return error
        except DownloadError as error:
            return InputError(f"{place.url(name)}: {error}; {_remedy(error, place, name)}")

    with ThreadPoolExecutor(WORKERS) as pool:
        try:
            results = dict(zip(names, pool.map(one, names), strict=True))
        except BaseException:
            stop.set()
            raise
    failed = {name: error for name, error in results.items() if isinstance(error, InputError)}
    if failed:
        raise summarize(failed, len(names), place)
    return [result for result in results.values() if not isinstance(result, InputError)]


def _remedy(error: DownloadError, place: mirror.Place, name: str) -> str:
    similar = place.similar(name) if isinstance(place, mirror.Folder) else None
    if similar and error.status == 404:
        return f"{similar!r} is there: rename it to {mirror.file_name(name, place.layout)!r}"
    if error.status in mirror.ABSENT:
        return "check data.mirror, or take the category out of data.categories"
    if not isinstance(error, TransientError):  # it will be the same the next time
        return "check data.mirror, or set it to another one"
    return "run it again (what came so far is kept), or set data.mirror to another one"


def summarize(failed: Mapping[str, InputError], count: int, place: mirror.Place) -> InputError:
    """One error for all categories, of `count`, that cannot be had."""
    lines = [f"{name}: {error}" for name, error in failed.items()]
    if len(lines) == 1:
        return InputError(lines[0])
    few = [error.rows for error in failed.values() if isinstance(error, TooFewError)]
    if len(few) > 1 and min(few):
        lines.append(f"data.drawings_per_category: {min(few)} would do for all of them")
    first = f"data.categories: {len(failed)} of {count} cannot be had from {place.shown}"
    return InputError("\n  ".join([first, *lines]))
