"""The first lines of a file on disk or on the web: few more bytes travel than they have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from quickspine.sources.download import Session
from quickspine.sources.reply import DownloadError, Version

FIRST = 1 << 14  # bytes asked for before it is known how long lines are
MOST = 1 << 20  # bytes asked for at once
LONGEST = 1 << 24  # bytes of a line: far more than any drawing has


class Reader(Protocol):
    """A file that is read from its start on."""

    def read(self, size: int) -> bytes:
        """The next bytes, `size` at most; none at its end.

        Raises:
            DownloadError: if it cannot be had.
        """


class FileReader:
    """Reads a file on disk."""

    def __init__(self, path: Path) -> None:
        self._path, self._at = path, 0

    def read(self, size: int) -> bytes:
        """The next bytes."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._at)
                content = file.read(size)
        except FileNotFoundError:
            raise DownloadError("no such file", status=404) from None
        except OSError as error:
            raise DownloadError(f"cannot be read ({error.strerror})", status=403) from None
        self._at += len(content)
        return content


class WebReader:
    """Reads a file by requests for ranges, each repeated after a fault that may pass."""

    def __init__(self, session: Session, url: str) -> None:
        self._session, self._url = session, url
        self._at, self._known = 0, Version()
        self._whole = False  # whether the server sends all from the start, whatever is asked for

    def read(self, size: int) -> bytes:
        """The next bytes."""
        if self._known.size is not None and self._at >= self._known.size:
            return b""
        if self._whole:  # as much again as was sent before: so all in all twice what is needed
            size = max(size, self._at)
        content = self._session.retry(lambda: self._ask(size))
        self._at += len(content)
        return content

    def _ask(self, size: int) -> bytes:
        start, stop = self._at, self._at + size
        known = self._known if start else None
        try:
            with self._session.get(self._url, start, stop, known) as reply:
                if known and reply.version.contradicts(known):
                    raise DownloadError("the file there changed while it was fetched")
                self._known = reply.version
                self._whole = self._whole or reply.start != start
                at, pieces = reply.start, list[bytes]()
                for chunk in reply.chunks:
                    pieces.append(chunk[max(0, start - at) : stop - at])
                    at += len(chunk)
                    if at >= stop:
                        break
                return b"".join(pieces)
        except DownloadError as error:
            if error.status == 416 and start:  # it ends here; the server had not said where
                return b""
            raise


def lines(reader: Reader, wanted: int) -> Iterator[bytes]:
    """Yield a file's lines without their ends, empty ones too.

    Args:
        reader: of the file.
        wanted: how many will be taken, about: no more than they need is asked for.

    Raises:
        DownloadError: if it cannot be had, or a line never ends.
    """
    rest, given, length = b"", 0, 0
    while True:
        left = max(wanted - given, 1)
        size = length // given * left + length // given if given else FIRST
        content = reader.read(min(max(size, 1 << 12), MOST))
        if not content:
            break
        *whole, rest = (rest + content).split(b"\n")
        for line in whole:
            given, length = given + 1, length + len(line) + 1
            yield line
        if len(rest) > LONGEST:
            raise DownloadError(f"a line of more than {LONGEST:,} bytes: no drawings")
    if rest:
        yield rest
