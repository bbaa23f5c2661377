"""Many categories at once: one bar for all, one error for all that failed."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

from tqdm import tqdm

from quickspine.errors import InputError
from quickspine.params import Data
from quickspine.sources import Fetched, mirror
from quickspine.sources.reply import DownloadError, TransientError
from quickspine.sources.resume import Take
from quickspine.sources.storage import npy
from quickspine.sources.wanted import TooFewError

WORKERS = 8  # categories at once

T = TypeVar("T")
Advance = Callable[[int], None]


def every(
    data: Data,
    place: mirror.Folder | mirror.Web,
    look: Callable[[str], Take],
    take: Callable[[str, Take, Advance], Fetched],
    check_space: Callable[[int], None],
    stop: threading.Event,
) -> list[Fetched]:
    """Look at every category first: what will not do is known before the drawings travel.

    Args:
        data: which categories, and how many drawings.
        place: the mirror, for messages.
        look: category to what to take of its file, by a small request.
        take: category, what `look` found, and a callback for bytes at hand; fetches the drawings.
        check_space: told the bytes that are needed, raises where the disk has less.
        stop: set when one fails in an unforeseen way, for the others to end.

    Returns:
        What `take` returned, in the order of `data.categories`.

    Raises:
        InputError: one for all categories that failed.
    """
    names = data.categories
    if not data.allow_fewer:
        check_space(len(names) * data.limit * npy.ROW)
    takes = dict(zip(names, _each(names, look, place, stop), strict=True))
    total = sum(found.body for found in takes.values())
    if data.allow_fewer:
        check_space(total)
    with _bar(total) as advance:
        return _each(names, lambda name: take(name, takes[name], advance), place, stop)


def _each(
    names: Sequence[str],
    work: Callable[[str], T],
    place: mirror.Folder | mirror.Web,
    stop: threading.Event,
) -> list[T]:
    """Do `work` for all names, some at once; then raise one error for all that failed."""
    done: dict[str, T] = {}
    failed: dict[str, InputError] = {}

    def one(name: str) -> None:
        try:
            done[name] = work(name)
        except InputError as error:
            failed[name] = error
        except DownloadError as error:
            failed[name] = InputError(f"{place.url(name)}: {error}; {_remedy(error)}")

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


def _remedy(error: DownloadError) -> str:
    status = error.status
    if status in mirror.ABSENT:
        return "check data.mirror, or take the category out of data.categories"
    if not isinstance(error, TransientError):  # it will be the same the next time
        return "check data.mirror, or set it to another one"
    return "run it again (what came so far is kept), or set data.mirror to another one"


def _summary(
    names: Sequence[str], failed: dict[str, InputError], place: mirror.Folder | mirror.Web
) -> InputError:
    lines = [f"{name}: {failed[name]}" for name in names if name in failed]
    if len(lines) == 1:
        return InputError(lines[0])
    few = [error.rows for error in failed.values() if isinstance(error, TooFewError)]
    if len(few) > 1 and min(few):
        lines.append(f"data.drawings_per_category: {min(few)} would do for all of them")
    first = f"data.categories: {len(failed)} of {len(names)} cannot be had from {place.shown}"
    return InputError("\n  ".join([first, *lines]))


@contextlib.contextmanager
def _bar(total: int) -> Iterator[Advance]:
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
