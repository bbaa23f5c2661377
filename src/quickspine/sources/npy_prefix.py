"""The first drawings of a category's `.npy` file, checked and written as a file of their own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from quickspine import files
from quickspine.errors import InputError
from quickspine.params import Data
from quickspine.sources import mirror
from quickspine.sources.download import (
    CHUNK,
    ChangedError,
    DownloadError,
    FolderSession,
    Session,
    TransientError,
    Version,
)
from quickspine.sources.file_types import describe_content
from quickspine.sources.storage import npy

HEAD = 128  # bytes asked for to see a header, and bytes of the header that is written
PROGRESS = 1 << 20  # bytes that earn a connection which breaks its full number of attempts again


class TooFewError(InputError):
    """A category with fewer drawings than asked for; `rows` is how many there are."""

    def __init__(self, message: str, rows: int = 0) -> None:  # a default, to be unpickled
        super().__init__(message)
        self.rows = rows


def check_rows(url: str, rows: int, data: Data) -> None:
    """Raise TooFewError where a file has no drawings, or fewer than the params ask for."""
    if rows == 0:
        raise TooFewError(f"{url}: no drawings; take it out of data.categories")
    if rows < data.limit and not data.allow_fewer:
        raise TooFewError(
            f"{url}: {rows} drawings, {data.limit} asked for; lower data.drawings_per_category "
            f"to {rows}, or set data.allow_fewer: true",
            rows,
        )


class NpyPrefix:
    """The first drawings of a category's file: `look` at its header, then `take` them.

    What came is `target`, named by URL, version and number of drawings, so that the next try goes
    on with it where the server still has that version.

    Args:
        data: how many drawings are asked for, and whether fewer will do.
        place: the mirror.
        category: which file of it.
        folder: where `target` is put.
        session: to read the mirror with.

    Attributes:
        url: of the file, for messages and manifests.
        rows: drawings to take.
        target: a `.npy` file of uint8 [rows, 784], whole after `take`.
    """

    def __init__(
        self,
        data: Data,
        place: mirror.Place,
        category: str,
        folder: Path,
        session: Session | FolderSession,
    ) -> None:
        self.rows = 0
        self.url, self._request_url = place.url(category), place.request_url(category)
        self.target = self._stem = folder / mirror.file_name(category)
        self._data, self._session = data, session
        self._header: npy.Header | None = None
        self._start, self._version = b"", Version()  # the header as it came
        self._counted = 0  # bytes of drawings that `advance` was told

    @property
    def body(self) -> int:
        """Bytes of drawings to take."""
        return self.rows * npy.ROW

    @property
    def have(self) -> int:
        """Bytes of drawings that are in `target`, after `look`."""
        return max(0, self.target.stat().st_size - HEAD) if self.target.exists() else 0

    def look(self) -> None:
        """Read the header; it says how many drawings to take.

        Raises:
            InputError: if the file will not do; TooFewError for a want of drawings.
            DownloadError: if it cannot be had.
        """
        self._session.retry(self._look)

    def take(self, advance: Callable[[int], None]) -> None:
        """Read the drawings, or those that are not here yet; raises what `look` raises.

        Args:
            advance: called with the bytes that came, below zero where some are void.
        """
        while True:
            before = self.have
            try:
                self._session.retry(lambda: self._take(advance))
                break
            except TransientError:
                if self.have < before + PROGRESS:
                    raise
        self._compare_published()

    def _look(self) -> npy.Header:
        size, header = HEAD, None
        while header is None:
            with self._session.get(self._request_url, 0, size) as reply:
                start = b"".join(reply.chunks)
            header = self._check(start, reply.version.size)
            if header is None and len(start) < size:
                empty = "" if start else ": an empty file"
                raise DownloadError(f"it ends after {len(start)} bytes, inside its header{empty}")
            size *= 4
        self._start = start[: header.length]
        self._header, self._version = header, reply.version
        self.rows = min(header.rows, self._data.limit)
        identity = files.digest([self.url, asdict(reply.version), self.rows])
        self.target = self._stem.with_name(f"{self._stem.name}-{identity[:16]}")
        return header

    def _check(self, start: bytes, size: int | None) -> npy.Header | None:
        """Parse the header in a file's first bytes; None where more bytes are needed."""
        try:
            header = npy.parse(start)
        except npy.NpyError as error:
            remedy = "check data.mirror, or have the file there mended"
            other = f"not a .npy file but {describe_content(start)}"
            problem = error if start.startswith(npy.MAGIC) else other
            raise InputError(f"{self.url}: {problem}; {remedy}") from None
        if header is None:
            return None
        if size is not None and header.length + header.rows * npy.ROW > size:
            raise InputError(
                f"{self.url}: damaged, its header promises more drawings than its {size} bytes "
                "hold; have the file there mended, or set data.mirror to another one"
            )
        check_rows(self.url, header.rows, self._data)
        return header

    def _take(self, advance: Callable[[int], None]) -> None:
        skip = (self._header or self._look()).length
        if self._version.if_range is None:
            self.target.unlink(missing_ok=True)
        with self.target.open("ab") as file:
            if file.tell() < HEAD:
                file.truncate(0)
                file.write(npy.header(self.rows))
            while True:
                have = file.tell() - HEAD
                advance(have - self._counted)
                self._counted = have
                if have == self.body:
                    return
                try:
                    with self._session.get(
                        self._request_url, skip + have, skip + self.body, self._version
                    ) as reply:
                        for chunk in reply.chunks:
                            file.write(chunk)
                            advance(len(chunk))
                            self._counted += len(chunk)
                except ChangedError as error:
                    self._header = None
                    raise TransientError(str(error), error.status) from None
                came = self._counted - have
                if not came or (came < self.body - have and self._version.if_range is None):
                    raise TransientError("it ends early")

    def _compare_published(self) -> None:
        """Compare a whole file of Google's with the size and sha256 that are published.

        Raises:
            InputError: if it is another one; then it is not kept.
        """
        known = mirror.published(self.url)
        if known is None or self._header is None or self.rows < self._header.rows:
            return
        hasher = hashlib.sha256(self._start)
        with self.target.open("rb") as file:
            file.seek(HEAD)
            while chunk := file.read(CHUNK):
                hasher.update(chunk)
        received = self._version.size or len(self._start) + self.body, hasher.hexdigest()
        if received != known:
            self.target.unlink()
            raise InputError(
                f"{self.url}: {received[0]} bytes, sha256 {received[1]}; Google published "
                f"{known[0]} bytes, sha256 {known[1]}; run it again, or ask for fewer drawings"
            )
