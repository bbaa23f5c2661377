"""Byte ranges of a mirror's files: verified replies of a web server, with retries, or a folder."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import httpx
import tenacity
from tqdm import tqdm

from quickspine.parallel import go_on
from quickspine.sources.mirror import Place, Web

ATTEMPTS = 5  # for each request, with these waits between them:
BACKOFF_S = 0.5  # the first one; doubled each time, each longer by up to this at random
BACKOFF_CAP_S = 15.0
RETRY_AFTER_CAP_S = 60.0  # a longer Retry-After is cut to this
NOTICE_S = 5.0  # longer waits are printed
CONNECT_S, READ_S = 10.0, 30.0
REDIRECTS = 5
CHUNK = 1 << 20  # bytes read from a folder's file at once

T = TypeVar("T")


class DownloadError(Exception):
    """A file that the mirror does not deliver; `status` is the HTTP status, if there was one."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class TransientError(DownloadError):
    """A fault that may pass; `retry_after` is the server's Retry-After in seconds."""

    def __init__(self, message: str, status: int | None = None, retry_after: float = 0) -> None:
        super().__init__(message, status)
        self.retry_after = retry_after


class ChangedError(DownloadError):
    """The file is another version than the one whose beginning is here."""


@dataclass(frozen=True)
class Version:
    """Tells one version of a file from another."""

    etag: str | None = None
    modified: str | None = None
    size: int | None = None  # bytes of the whole file

    @property
    def if_range(self) -> str | None:
        """The strong ETag, without which no download is resumed."""
        etag = self.etag or "W/"
        strong = etag.isascii() and etag.isprintable() and not etag.startswith("W/")
        return etag if strong else None

    def matches(self, other: Version) -> bool:
        """Whether both may be the same version, as far as the server tells."""
        if None not in (self.size, other.size) and self.size != other.size:
            return False
        if self.etag or other.etag:
            return self.etag == other.etag
        return self.modified == other.modified


@dataclass(frozen=True)
class Reply:
    """The bytes asked for, as they come."""

    version: Version
    chunks: Iterator[bytes]
    ranged: bool = True  # False: the server sends the whole file whatever is asked for


class Session:
    """A web mirror read by byte ranges, by several threads; made by `connect`.

    Args:
        client: for the requests.
        stop: an event that ends every request at once when it is set.
    """

    def __init__(self, client: httpx.Client, stop: threading.Event) -> None:
        self.stop, self._client = stop, client
        self._sockets = list[socket.socket]()

    def retry(self, work: Callable[[], T]) -> T:
        """Call `work`, again after each TransientError, `ATTEMPTS` times in all."""
        return tenacity.Retrying(
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=_wait,
            retry=tenacity.retry_if_exception_type(TransientError),
            sleep=tenacity.sleep_using_event(self.stop),
            before_sleep=_print_long_wait,
            reraise=True,
        )(work)

    @contextlib.contextmanager
    def get(self, url: str, start: int, stop: int, known: Version | None = None) -> Iterator[Reply]:
        """Ask for the bytes [start, stop) of `url`, of the `known` version where one is given.

        A server that ignores Range is read up to `stop`; the bytes before `start` are dropped.
        Leaving the block early closes the connection.

        Raises:
            TransientError: for 408, 429, 5xx, timeouts and broken connections.
            ChangedError: if the file is no longer the `known` version.
            DownloadError: for any other answer than these bytes.
        """
        go_on(self.stop)
        headers = {"Range": f"bytes={start}-{stop - 1}"}
        if known and known.if_range:
            headers["If-Range"] = known.if_range
        traced = {"trace": self._trace}
        try:
            with self._client.stream("GET", url, headers=headers, extensions=traced) as response:
                if known and response.status_code == 416:
                    raise ChangedError("HTTP 416: the file there shrank", 416)
                first, end, version = _read_headers(response, start)
                _compare(known, version)
                chunks = self._cut(response.iter_raw(), first, start, min(stop, end))
                yield Reply(version, chunks, response.status_code == 206)
        except (httpx.UnsupportedProtocol, httpx.TooManyRedirects) as error:
            raise DownloadError(f"a redirect that is not followed ({error})") from None
        except httpx.TransportError as error:
            raise TransientError(f"{type(error).__name__}: {error}") from None

    def _cut(self, chunks: Iterator[bytes], at: int, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes [start, stop) of a stream that begins at `at`."""
        for chunk in chunks:
            go_on(self.stop)
            yield chunk[max(0, start - at) : stop - at]
            at += len(chunk)
            if at >= stop:
                break

    def _trace(self, event: str, info: dict[str, Any]) -> None:
        """Keep httpcore's sockets for `watch`."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._sockets.append(info["return_value"].get_extra_info("socket"))

    def watch(self, closed: threading.Event) -> None:
        """Break the connections once `stop` is set: no thread waits for a silent server."""
        while not closed.wait(0.1):
            if self.stop.is_set():
                for each in self._sockets:
                    with contextlib.suppress(OSError):
                        each.shutdown(socket.SHUT_RDWR)


class FolderSession:
    """A folder mirror, read as a `Session` reads a web mirror."""

    def __init__(self, stop: threading.Event) -> None:
        self.stop = stop

    def retry(self, work: Callable[[], T]) -> T:
        """Call `work`, once."""
        return work()

    @contextlib.contextmanager
    def get(self, url: str, start: int, stop: int, known: Version | None = None) -> Iterator[Reply]:
        """Read the bytes [start, stop) of the file at `url`, a path."""
        path = Path(url)
        if not path.is_file():
            raise DownloadError("no such file", 404)
        try:
            file = path.open("rb")
        except OSError as error:
            raise _unreadable(error) from None
        with file:
            state = os.fstat(file.fileno())
            version = Version(modified=str(state.st_mtime_ns), size=state.st_size)
            _compare(known, version)
            file.seek(start)
            yield Reply(version, self._chunks(file, stop - start))

    def _chunks(self, file: BinaryIO, left: int) -> Iterator[bytes]:
        try:
            while not self.stop.is_set() and (chunk := file.read(min(left, CHUNK))):
                left -= len(chunk)
                yield chunk
        except OSError as error:
            raise _unreadable(error) from None


@contextlib.contextmanager
def connect(place: Place, stop: threading.Event | None = None) -> Iterator[Session | FolderSession]:
    """Open a session with a mirror.

    Args:
        place: the mirror; its credentials go to its own host only, and from https no redirect
            leads to plain http.
        stop: an event that ends every request at once when it is set.
    """
    stop, closed = stop or threading.Event(), threading.Event()
    if not isinstance(place, Web):
        yield FolderSession(stop)
        return
    # httpx logs each URL at INFO; its query may be a secret signature.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    secure = place.shown.startswith("https:")
    with httpx.Client(
        auth=place.auth,
        follow_redirects=True,
        max_redirects=REDIRECTS,
        timeout=httpx.Timeout(READ_S, connect=CONNECT_S),
        headers={"Accept-Encoding": "identity", "User-Agent": "quickspine"},
        event_hooks={"request": [_stay_secure] if secure else []},
    ) as client:
        session = Session(client, stop)
        threading.Thread(target=session.watch, args=(closed,), daemon=True).start()
        try:
            yield session
        finally:
            closed.set()


def peek(session: Session | FolderSession, url: str) -> None:
    """Ask for one byte of `url`; raises DownloadError where it cannot be had."""

    def ask() -> None:
        with session.get(url, 0, 1):
            pass

    session.retry(ask)


def _unreadable(error: OSError) -> DownloadError:
    return DownloadError(f"cannot be read ({error.strerror})", 403)


def _read_headers(response: httpx.Response, start: int) -> tuple[int, int, Version]:
    """Return the first byte that is sent, the end of the range, and the version of the file."""
    status, headers = response.status_code, response.headers
    if status in (408, 429) or status >= 500:
        wait = _retry_after(headers.get("Retry-After", ""))
        asked = f" (Retry-After: {wait:,.0f} s)" if wait >= 1 else ""
        raise TransientError(f"HTTP {status}{asked}", status, wait)
    if status not in (200, 206):
        raise DownloadError(f"HTTP {status}", status)
    if headers.get("Content-Encoding", "identity") != "identity":
        raise DownloadError(f"sent compressed ({headers['Content-Encoding']}), unasked")
    etag, modified = headers.get("ETag"), headers.get("Last-Modified")
    if status == 200:
        return 0, sys.maxsize, Version(etag, modified, _size(headers.get("Content-Length", "")))
    received = headers.get("Content-Range", "")
    unit, _, place = received.partition(" ")
    span, _, total = place.partition("/")
    first, _, last = span.partition("-")
    end = _size(last)
    if unit.lower() != "bytes" or first != str(start) or end is None or end < start:
        raise DownloadError(f"another range than asked for (Content-Range: {received!r:.80})")
    return start, end + 1, Version(etag, modified, _size(total))


def _compare(known: Version | None, version: Version) -> None:
    if known and not version.matches(known):
        raise ChangedError("the file there changed while it was fetched")


def _size(digits: str) -> int | None:
    """Parse a byte count; None if invalid or implausibly large."""
    return int(digits) if digits.isdecimal() and len(digits) < 19 else None


def _retry_after(text: str) -> float:
    """Seconds from now, from a header that holds seconds or a date; 0 where it is neither."""
    if text.isdecimal():
        return float(text[:9])
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # a year or a time zone of twenty digits
        return 0.0
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())


def _stay_secure(request: httpx.Request) -> None:
    if request.url.scheme != "https":
        raise httpx.UnsupportedProtocol(f"from https to {request.url.scheme}")


def _print_long_wait(state: tenacity.RetryCallState) -> None:
    wait = state.next_action.sleep if state.next_action else 0
    if wait >= NOTICE_S and state.outcome:
        problem = state.outcome.exception()
        tqdm.write(f"fetch: {problem}; the next try is in {wait:.0f} s", file=sys.stderr)


def _wait(state: tenacity.RetryCallState) -> float:
    steady = tenacity.wait_exponential(multiplier=BACKOFF_S, max=BACKOFF_CAP_S)
    backoff = (steady + tenacity.wait_random(0, BACKOFF_S))(state)
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, TransientError) else 0
    return max(backoff, min(asked, RETRY_AFTER_CAP_S))
