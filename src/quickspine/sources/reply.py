"""What a server's answer says: which version of a file, from where on, or what went wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx


class DownloadError(Exception):
    """A file that this server does not give.

    Attributes:
        status: the server's answer, if it gave one.
        size: bytes of the whole file, where the refusal tells.
    """

    def __init__(self, message: str, status: int | None = None, size: int | None = None) -> None:
        super().__init__(message)
        self.status, self.size = status, size


class TransientError(DownloadError):
    """What may go well the next time; `retry_after` is the patience asked for, in seconds."""

    def __init__(self, message: str, status: int | None = None, retry_after: float = 0) -> None:
        super().__init__(message, status)
        self.retry_after = retry_after


@dataclass(frozen=True)
class Version:
    """What tells one version of a remote file from another."""

    etag: str | None = None
    modified: str | None = None  # Last-Modified
    settled: bool = False  # the date had passed when it was sent: no second version can share it
    size: int | None = None  # bytes of the whole file

    @property
    def condition(self) -> str | None:
        """The If-Range value: a strong ETag, else a settled date, else nothing can be resumed."""
        if self.etag and not self.etag.startswith("W/") and _sendable(self.etag):
            return self.etag
        return self.modified if self.settled and _sendable(self.modified or "") else None

    def contradicts(self, other: Version) -> bool:
        """Whether these are two versions; a partial reply need not name all that it knows."""
        pairs = [(self.size, other.size), (self.etag, other.etag)]
        if not (self.etag and other.etag):
            pairs.append((self.modified, other.modified))
        return any(a != b for a, b in pairs if a is not None and b is not None)


@dataclass(frozen=True)
class Reply:
    """A stream of a remote file's bytes from `start` on."""

    start: int
    version: Version
    chunks: Iterator[bytes]


def read(response: httpx.Response, start: int) -> Reply:
    """What a server answers to a request for the bytes from `start` on.

    Raises:
        TransientError: for 408, 429 and 5xx.
        DownloadError: for any other answer than these bytes.
    """
    status, headers = response.status_code, response.headers
    if status in (408, 429) or status >= 500:
        wait = _retry_after(headers.get("Retry-After", ""))
        wish = f" (it asks for {wait:,.0f} s of patience)" if wait >= 1 else ""
        raise TransientError(f"HTTP {status}{wish}", status, wait)
    if status not in (200, 206):
        raise DownloadError(f"HTTP {status}", status, _number(_total(headers)))
    if headers.get("Content-Encoding", "identity") != "identity":
        raise DownloadError(f"sent compressed ({headers['Content-Encoding']}), unasked")
    if status == 200:
        size = _number(headers.get("Content-Length", ""))
        return Reply(0, _version(headers, size), response.iter_raw())
    unit, _, place = headers.get("Content-Range", "").partition(" ")
    first, _, last = place.partition("/")[0].partition("-")
    end = _number(last)
    if unit.lower() != "bytes" or first != str(start) or end is None or end < start:
        received = f"{headers.get('Content-Range', '')!r:.80}"
        raise DownloadError(f"another range than asked for (Content-Range: {received})")
    # No more than it says it sends: what follows the range is not what follows in the file.
    chunks = _first(response.iter_raw(), end + 1 - start)
    return Reply(start, _version(headers, _number(_total(headers))), chunks)


def _first(chunks: Iterator[bytes], size: int) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk[:size]
        size -= len(chunk)
        if size <= 0:
            break


def _total(headers: httpx.Headers) -> str:
    return str(headers.get("Content-Range", "")).partition("/")[2]


def _number(digits: str) -> int | None:
    """A size; None for what is none, or larger than any file."""
    return int(digits) if digits.isdecimal() and len(digits) < 19 else None


def _sendable(text: str) -> bool:
    """Whether a header that came may be sent back: some servers send what HTTP does not know."""
    return text.isascii() and text.isprintable()


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # a year or a time zone of twenty digits
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _retry_after(text: str) -> float:
    """Seconds from now; the header holds seconds or a date."""
    if text.isdecimal():
        return float(text[:9])
    date = _date(text)
    return max(0.0, (date - datetime.now(UTC)).total_seconds()) if date else 0.0


def _version(headers: httpx.Headers, size: int | None) -> Version:
    modified, sent = _date(headers.get("Last-Modified", "")), _date(headers.get("Date", ""))
    settled = bool(modified and sent and sent - modified >= timedelta(seconds=1))
    return Version(headers.get("ETag"), headers.get("Last-Modified"), settled, size)
