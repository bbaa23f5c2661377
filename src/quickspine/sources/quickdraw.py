"""Google's drawings: the first ones of each category, from `data.mirror`.

28×28 grey drawings of the Quick, Draw! data set, https://github.com/googlecreativelab/quickdraw-dataset,
white strokes on black. Of a file of 90 to 250 MB only the header and the drawings asked for travel.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from quickspine import files
from quickspine.errors import WrongInputError
from quickspine.params import Data
from quickspine.sources import Fetched, mirror, npy
from quickspine.sources.download import Download, DownloadError, Partial, Plan, Session, Take

SYNTHETIC = False
LICENCE = "CC BY 4.0"
ATTRIBUTION = (
    "The Quick, Draw! Dataset, made available by Google, Inc. "
    "(https://github.com/googlecreativelab/quickdraw-dataset)"
)
WORKERS = 8  # categories at once
CHUNK = 1 << 20  # bytes

T = TypeVar("T")
Advance = Callable[[int], None]


class TooFewError(WrongInputError):
    """A category with fewer drawings than asked for; `rows` are there."""

    def __init__(self, message: str, rows: int) -> None:
        super().__init__(message)
        self.rows = rows


def fetch(data: Data, folder: Path) -> list[Fetched]:
    """Write the first `data.drawings_per_category` drawings of each category into `folder`.

    Of a web mirror, what came so far is kept under `quickspine.files.STATE` until all is there,
    and the next try asks for the rest.

    Returns:
        One `Fetched` a category, in the order of `data.categories`; `<category>.npy` holds uint8
        [rows, 784] in C order.

    Raises:
        WrongInputError: names every category that cannot be had, its URL, and what would do.
    """
    place = mirror.parse(data.mirror)
    count, each = len(data.categories), data.drawings_per_category
    most = ("up to ", "at most ") if data.allow_fewer else ("", "")
    print(
        f"fetch: {count:,} categories × {most[0]}{each:,} drawings"  # noqa: RUF001 (times, not x)
        f" = {most[1]}{count * each * npy.ROW / 1e6:,.1f} MB from {place.shown}",
        file=sys.stderr,
        flush=True,
    )
    if isinstance(place, mirror.Folder):
        return _from_folder(data, place, folder)
    with files.lock("downloads"):
        return _from_web(data, place, folder)


def _from_folder(data: Data, place: mirror.Folder, folder: Path) -> list[Fetched]:
    def look(category: str) -> Take:
        return _look(place.path(category), _plan(data, category, place.url(category)))

    def copy(category: str, take: Take, advance: Advance) -> Fetched:
        target = folder / mirror.file_name(category)
        with place.path(category).open("rb") as source, files.whole_file(target) as partial:
            source.seek(take.head)
            left = take.body
            with partial.open("wb") as out:
                out.write(npy.header(left // npy.ROW))
                while left and (chunk := source.read(min(left, CHUNK))):
                    out.write(chunk)
                    advance(len(chunk))
                    left -= len(chunk)
            if left:
                raise DownloadError("it became shorter while it was read")
        return _fetched(category, place.url(category), target, take)

    return _all(data, place, look, copy, lambda need: _check_space(need, folder), threading.Event())


def _from_web(data: Data, named: mirror.Web, folder: Path) -> list[Fetched]:
    kept = files.STATE / "downloads"
    kept.mkdir(parents=True, exist_ok=True)
    with Session(named.auth) as session:
        try:
            place = mirror.settle(named, data.categories, session.status)
        except DownloadError as error:
            raise WrongInputError(
                f"data.mirror: no answer from {named.shown} ({error}); check the network, or set "
                "data.mirror to another URL or a folder"
            ) from None
        downloads = {}
        for category in data.categories:
            name = f"{mirror.file_name(category)}-{files.digest(place.url(category))[:16]}"
            partial = Partial(kept / name, reserve=len(npy.header(1)))
            plan = _plan(data, category, place.url(category))
            downloads[category] = Download(session, place.request_url(category), partial, plan)

        def complete(category: str, _: Take, advance: Advance) -> Fetched:
            partial = downloads[category].partial
            take = downloads[category].run(advance)
            _check_published(place.url(category), partial, take)
            partial.seal(npy.header(take.body // npy.ROW))
            return _fetched(category, place.url(category), partial.body, take)

        def check(need: int) -> None:
            here = sum(download.partial.have for download in downloads.values())
            _check_space(need - here, kept)
            if folder.stat().st_dev != kept.stat().st_dev:
                _check_space(need, folder)

        entries = _all(
            data, place, lambda name: downloads[name].look(), complete, check, session.stop
        )
    for category in data.categories:
        shutil.move(downloads[category].partial.body, folder / mirror.file_name(category))
    shutil.rmtree(kept)
    return entries


def _all(
    data: Data,
    place: mirror.Folder | mirror.Web,
    look: Callable[[str], Take],
    take: Callable[[str, Take, Advance], Fetched],
    check_space: Callable[[int], None],
    stop: threading.Event,
) -> list[Fetched]:
    """Look at every category first: what will not do is known before the drawings travel."""
    names = data.categories
    if not data.allow_fewer:
        check_space(len(names) * data.drawings_per_category * npy.ROW)
    takes = dict(zip(names, _each(names, look, place, stop), strict=True))
    total = sum(found.body for found in takes.values())
    if data.allow_fewer:
        check_space(total)
    with _progress(total) as advance:
        return _each(names, lambda name: take(name, takes[name], advance), place, stop)


def _each(
    names: Sequence[str],
    work: Callable[[str], T],
    place: mirror.Folder | mirror.Web,
    stop: threading.Event,
) -> list[T]:
    """Do `work` for all names, some at once; then raise one error for all that failed."""
    done: dict[str, T] = {}
    failed: dict[str, WrongInputError] = {}

    def one(name: str) -> None:
        try:
            done[name] = work(name)
        except WrongInputError as error:
            failed[name] = error
        except DownloadError as error:
            failed[name] = WrongInputError(f"{place.url(name)}: {error}; {_remedy(error.status)}")

    with ThreadPoolExecutor(WORKERS) as pool:
        try:
            for future in as_completed([pool.submit(one, name) for name in names]):
                future.result()
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    if failed:
        raise _summary(names, failed, place)
    return [done[name] for name in names]


def _remedy(status: int | None) -> str:
    if status in mirror.ABSENT:
        return "check data.mirror, or take the category out of data.categories"
    if status is not None and 400 <= status < 500 and status != 429:
        return "check data.mirror"
    return "run it again (what came so far is kept), or set data.mirror to another one"


def _summary(
    names: Sequence[str], failed: dict[str, WrongInputError], place: mirror.Folder | mirror.Web
) -> WrongInputError:
    lines = [f"{name}: {failed[name]}" for name in names if name in failed]
    if len(lines) == 1:
        return WrongInputError(lines[0])
    few = [error.rows for error in failed.values() if isinstance(error, TooFewError)]
    if len(few) > 1 and min(few):
        lines.append(f"data.drawings_per_category: {min(few)} would do for all of them")
    first = f"data.categories: {len(failed)} of {len(names)} cannot be had from {place.shown}"
    return WrongInputError("\n  ".join([first, *lines]))


def _plan(data: Data, category: str, url: str) -> Plan:
    """What to take of a category's file, judged by its header and its size."""

    def plan(start: bytes, size: int | None) -> Take | None:
        try:
            header = npy.parse(start)
        except npy.NpyError as error:
            raise WrongInputError(
                f"{url}: {error}; check data.mirror, or have the file there mended"
            ) from None
        if header is None:
            return None
        promised = header.length + header.rows * npy.ROW
        if size is not None and promised > size:
            raise WrongInputError(
                f"{url}: damaged, its header promises more drawings than its {size} bytes hold; "
                "have the file there mended, or set data.mirror to another one"
            )
        if header.rows == 0:
            raise TooFewError(f"{url}: no drawings; take it out of data.categories", 0)
        if header.rows < data.drawings_per_category and not data.allow_fewer:
            raise TooFewError(
                f"{url}: {header.rows} drawings, {data.drawings_per_category} asked for; lower "
                f"data.drawings_per_category to {header.rows}, or set data.allow_fewer: true",
                header.rows,
            )
        return Take(header.length, min(header.rows, data.drawings_per_category) * npy.ROW)

    return plan


def _look(path: Path, plan: Plan) -> Take:
    if not path.is_file():
        raise DownloadError("no such file", status=404)
    try:
        with path.open("rb") as file:
            start = file.read(npy.MAX_HEADER)
        take = plan(start, path.stat().st_size)
    except OSError as error:
        raise DownloadError(f"cannot be read ({error.strerror})", status=403) from None
    if take is None:
        raise DownloadError(f"it ends after {len(start)} bytes, inside its header")
    return take


def _check_published(url: str, partial: Partial, take: Take) -> None:
    """Compare a whole file of Google's with what tensorflow-datasets recorded of it."""
    known, header = mirror.published(url), npy.parse(partial.head)
    if known is None or header is None or take.body < header.rows * npy.ROW:
        return
    size = partial.version.size or take.head + take.body
    with partial.body.open("rb") as file:
        file.seek(partial.reserve)
        hasher = hashlib.sha256(partial.head)
        while chunk := file.read(CHUNK):
            hasher.update(chunk)
    if (size, hasher.hexdigest()) != (known.size, known.sha256):
        partial.discard()
        raise WrongInputError(
            f"{url}: {size} bytes, sha256 {hasher.hexdigest()}; Google published {known.size} "
            f"bytes, sha256 {known.sha256}; run it again, or ask for fewer drawings"
        )


def _fetched(category: str, url: str, path: Path, take: Take) -> Fetched:
    name, rows = mirror.file_name(category), take.body // npy.ROW
    return Fetched(category, name, url, rows, path.stat().st_size, files.sha256(path))


def _check_space(need: int, place: Path) -> None:
    free = shutil.disk_usage(place).free
    if need > free:
        raise WrongInputError(
            f"data.drawings_per_category: {need / 1e6:,.1f} MB are needed and {free / 1e6:,.1f} MB "
            f"are free at {place}; free some, or ask for fewer drawings or categories"
        )


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Advance]:
    """A bar of bytes on stderr, told of advances by any thread."""
    busy = threading.Lock()
    calm = 0.1 if sys.stderr.isatty() else 10.0  # seconds between two lines of a log
    with tqdm(
        total=total, desc="fetch", unit="B", unit_scale=True, mininterval=calm, file=sys.stderr
    ) as bar:

        def advance(size: int) -> None:
            with busy:
                bar.update(size)

        yield advance
