"""What is wanted of a category's file, judged by its header; or why the file will not do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from quickspine.errors import InputError
from quickspine.params import Data
from quickspine.sources import mirror
from quickspine.sources.partial import Partial
from quickspine.sources.reply import DownloadError
from quickspine.sources.resume import Plan, Take
from quickspine.sources.storage import npy

CHUNK = 1 << 20  # bytes read at once


class TooFewError(InputError):
    """A category with fewer drawings than asked for; `rows` are there."""

    def __init__(self, message: str, rows: int) -> None:
        super().__init__(message)
        self.rows = rows


def plan(data: Data, url: str) -> Plan:
    """What to take of a category's file, judged by its header and its size.

    Args:
        data: how many drawings are asked for, and whether fewer will do.
        url: of the file, for messages.

    Returns:
        A function that raises InputError (TooFewError for a want of drawings) where the file
        will not do.
    """

    def judge(start: bytes, size: int | None) -> Take | None:
        try:
            header = npy.parse(start)
        except npy.NpyError as error:
            raise InputError(
                f"{url}: {error}; check data.mirror, or have the file there mended"
            ) from None
        if header is None:
            return None
        promised = header.length + header.rows * npy.ROW
        if size is not None and promised > size:
            raise InputError(
                f"{url}: damaged, its header promises more drawings than its {size} bytes hold; "
                "have the file there mended, or set data.mirror to another one"
            )
        if header.rows == 0:
            raise TooFewError(f"{url}: no drawings; take it out of data.categories", 0)
        if header.rows < data.limit and not data.allow_fewer:
            raise TooFewError(
                f"{url}: {header.rows} drawings, {data.limit} asked for; lower "
                f"data.drawings_per_category to {header.rows}, or set data.allow_fewer: true",
                header.rows,
            )
        return Take(header.length, min(header.rows, data.limit) * npy.ROW)

    return judge


def look(path: Path, judge: Plan) -> Take:
    """What to take of a file on disk.

    Raises:
        InputError: what `judge` raises.
        DownloadError: if it is not there, cannot be read, or ends inside its header.
    """
    if not path.is_file():
        raise DownloadError("no such file", status=404)
    try:
        with path.open("rb") as file:
            start = file.read(npy.MAX_HEADER)
        take = judge(start, path.stat().st_size)
    except OSError as error:
        raise DownloadError(f"cannot be read ({error.strerror})", status=403) from None
    if take is None:
        raise DownloadError(f"it ends after {len(start)} bytes, inside its header")
    return take


def read(path: Path, take: Take) -> Iterator[bytes]:
    """Yield what follows the head of a file on disk, a piece at a time.

    Raises:
        DownloadError: if it cannot be read, or became shorter than it was.
    """
    left = take.body
    try:
        with path.open("rb") as file:
            file.seek(take.head)
            while left and (chunk := file.read(min(left, CHUNK))):
                left -= len(chunk)
                yield chunk
    except OSError as error:
        raise DownloadError(f"cannot be read ({error.strerror})", status=403) from None
    if left:
        raise DownloadError("it became shorter while it was read")


def check_published(url: str, partial: Partial, take: Take) -> None:
    """Compare a whole file of Google's with what tensorflow-datasets recorded of it.

    Raises:
        InputError: if it is another one; then `partial` is discarded.
    """
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
        raise InputError(
            f"{url}: {size} bytes, sha256 {hasher.hexdigest()}; Google published {known.size} "
            f"bytes, sha256 {known.sha256}; run it again, or ask for fewer drawings"
        )
