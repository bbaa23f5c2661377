"""The first lines of a file on disk or on the web: few more bytes travel than they have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from quickspine.sources.download import DownloadError, FolderSession, Session, Version

FIRST = 1 << 14  # bytes asked for before it is known how long lines are
MOST = 1 << 20  # bytes asked for at once
LONGEST = 1 << 24  # bytes of a line: far more than any drawing has


class Reader(Protocol):
    """A file that is read from its start on."""

    def read(self, size: int) -> bytes:
        """Return the next bytes, at most `size`; none at its end.

        Raises:
            DownloadError: if it cannot be had.
        """


class RangeReader:
    """Reads a file of a mirror by ranges, each requested again after a fault that may pass."""

    def __init__(self, session: Session | FolderSession, url: str) -> None:
        self._session, self._url = session, url
        self._at = 0
        self._known: Version | None = None
        self._ranged = True

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        if self._known and self._known.size is not None and self._at >= self._known.size:
            return b""
        if not self._ranged:  # as much again as was sent before: in all at most twice the need
            size = max(size, self._at)
        content = self._session.retry(lambda: self._ask(size))
        self._at += len(content)
        return content

    def _ask(self, size: int) -> bytes:
        start = self._at
        try:
            with self._session.get(self._url, start, start + size, self._known) as reply:
                self._known, self._ranged = reply.version, reply.ranged
                return b"".join(reply.chunks)
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
