"""The first bytes of a file over HTTP: only those needed, resumed, never of two versions."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import httpx
import tenacity

from quickspine.errors import WrongInputError
from quickspine.files import read_json, write_json

ATTEMPTS = 5  # for each request, with these waits between them:
BACKOFF_S = 0.5  # the first one; doubled each time, each longer by up to this at random
BACKOFF_CAP_S = 15.0
RETRY_AFTER_CAP_S = 60.0  # a server may ask for more patience, up to this
CONNECT_S, READ_S = 10.0, 30.0
REDIRECTS = 5
FIRST = 128  # bytes asked for to see a head; what is more than the head is kept

T = TypeVar("T")


class DownloadError(Exception):
    """A file that this server does not give; `status` is its answer, if it gave one."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class TransientError(DownloadError):
    """What may go well the next time; `retry_after` is the patience asked for, in seconds."""

    def __init__(self, message: str, status: int | None = None, retry_after: float = 0) -> None:
        super().__init__(message, status)
        self.retry_after = retry_after


class StoppedError(Exception):
    """Another thread set `Session.stop`."""


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
        if self.etag and not self.etag.startswith("W/"):
            return self.etag
        return self.modified if self.settled else None

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


@dataclass(frozen=True)
class Take:
    """How many bytes to take of a remote file: a head, kept apart, and what follows it."""

    head: int
    body: int


# The first bytes and, where known, the size of a file → what to take; None: more bytes are needed.
# Raises WrongInputError where the file will not do.
Plan = Callable[[bytes, int | None], Take | None]


class Session:
    """A pool of connections that several threads may share; ends at `with`'s end."""

    def __init__(self, auth: tuple[str, str] | None = None) -> None:
        # httpx logs each URL at INFO; the query may be a signature that is nobody's business.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self.stop = threading.Event()
        self._client = httpx.Client(
            auth=auth,
            follow_redirects=True,
            max_redirects=REDIRECTS,
            timeout=httpx.Timeout(READ_S, connect=CONNECT_S),
            headers={"Accept-Encoding": "identity", "User-Agent": "quickspine"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._client.close()

    def retry(self, work: Callable[[], T]) -> T:
        """Do `work`, again after each TransientError, `ATTEMPTS` times in all."""
        return tenacity.Retrying(
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=_patience,
            retry=tenacity.retry_if_exception_type(TransientError),
            sleep=tenacity.sleep_using_event(self.stop),
            reraise=True,
        )(work)

    def status(self, url: str) -> int:
        """The HTTP status of `url`, for a byte of it.

        Raises:
            TransientError: if there is no answer, also after retries.
        """

        def look() -> int:
            with self.get(url, 0, 1):
                return 200

        try:
            return self.retry(look)
        except DownloadError as error:
            if error.status is None:
                raise
            return error.status

    @contextlib.contextmanager
    def get(self, url: str, start: int, stop: int, known: Version | None = None) -> Iterator[Reply]:
        """Ask for the bytes [start, stop) of `url`, if it is still the `known` version.

        The reply starts at 0 instead where the server knows no ranges, or another version.
        Leaving the block early closes the connection: nothing more is sent.

        Raises:
            TransientError: for 408, 429, 5xx, timeouts and broken connections.
            DownloadError: for any other answer than these bytes.
        """
        if self.stop.is_set():
            raise StoppedError
        headers = {"Range": f"bytes={start}-{stop - 1}"}
        if known and known.condition:
            headers["If-Range"] = known.condition
        try:
            with self._client.stream("GET", url, headers=headers) as response:
                yield _reply(response, start)
        except (httpx.UnsupportedProtocol, httpx.TooManyRedirects) as error:
            raise DownloadError(f"a redirect that is not followed ({error})") from None
        except httpx.TransportError as error:
            raise TransientError(f"{type(error).__name__}: {error}") from None


def _patience(state: tenacity.RetryCallState) -> float:
    steady = tenacity.wait_exponential(multiplier=BACKOFF_S, max=BACKOFF_CAP_S)
    backoff = (steady + tenacity.wait_random(0, BACKOFF_S))(state)
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, TransientError) else 0
    return max(backoff, min(asked, RETRY_AFTER_CAP_S))


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
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


def _reply(response: httpx.Response, start: int) -> Reply:
    status, headers = response.status_code, response.headers
    if status in (408, 429) or status >= 500:
        wait = _retry_after(headers.get("Retry-After", ""))
        raise TransientError(f"HTTP {status}", status, wait)
    if status not in (200, 206):
        raise DownloadError(f"HTTP {status}", status)
    if headers.get("Content-Encoding", "identity") != "identity":
        raise DownloadError(f"sent compressed ({headers['Content-Encoding']}), unasked")
    if status == 200:
        length = headers.get("Content-Length", "")
        size = int(length) if length.isdecimal() else None
        return Reply(0, _version(headers, size), response.iter_raw())
    unit, _, place = headers.get("Content-Range", "").partition(" ")
    span, _, total = place.partition("/")
    if unit.lower() != "bytes" or span.partition("-")[0] != str(start):
        raise DownloadError(f"another range than asked for ({headers.get('Content-Range')})")
    size = int(total) if total.isdecimal() else None
    return Reply(start, _version(headers, size), response.iter_raw())


class Partial:
    """The beginning of a remote file on disk, and the version that it belongs to.

    `<place>.part` holds the body after `reserve` free bytes, so that another head can be put
    before it without a copy; `<place>.json` holds the version and the head, and is written first.
    """

    def __init__(self, place: Path, reserve: int) -> None:
        self.body = place.with_name(f"{place.name}.part")
        self.note = place.with_name(f"{place.name}.json")
        self.reserve = reserve
        self.version, self.head = Version(), b""
        with contextlib.suppress(WrongInputError, KeyError, TypeError, ValueError):
            note = read_json(self.note, "fetch")
            self.version, self.head = Version(**note["version"]), bytes.fromhex(note["head"])
        if not self.body.exists() or self.body.stat().st_size < reserve:
            self.discard()  # killed between the note and the body

    @property
    def have(self) -> int:
        """Bytes of the body that are here."""
        return max(0, self.body.stat().st_size - self.reserve) if self.body.exists() else 0

    def begin(self, version: Version, head: bytes) -> None:
        """Start anew; only then may bytes of `version` be appended."""
        self.discard()
        write_json(self.note, {"version": asdict(version), "head": head.hex()})
        self.version, self.head = version, head
        self.body.write_bytes(bytes(self.reserve))

    def keep(self, size: int) -> None:
        """Shorten the body to at most `size` bytes."""
        if self.have > size:
            with self.body.open("r+b") as file:
                file.truncate(self.reserve + size)

    def seal(self, head: bytes) -> None:
        """Put `head`, of `reserve` bytes, before the body: then `body` is a file of its own."""
        with self.body.open("r+b") as file:
            file.write(head)

    def discard(self) -> None:
        """Forget it all."""
        self.body.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)
        self.version, self.head = Version(), b""


class Download:
    """One remote file's first bytes, into a `Partial`.

    Args:
        session: to ask through.
        url: of the file.
        partial: where the bytes go, perhaps with some from an earlier try.
        plan: decides from the head how many bytes to take.
    """

    def __init__(self, session: Session, url: str, partial: Partial, plan: Plan) -> None:
        self.session, self.url, self.partial, self.plan = session, url, partial, plan
        self._stop = FIRST  # how far to ask where nothing is known
        self._whole = False  # past the head as well
        self._advance: Callable[[int], object] = lambda _: None

    def look(self) -> Take:
        """See the head, by a small request unless an earlier try saw it.

        Raises:
            WrongInputError: what `plan` raises.
            DownloadError: if the server does not give it.
        """
        while (take := self._planned() or self.session.retry(self._ask)) is None:
            self._stop *= 4  # a long head
        return take

    def run(self, advance: Callable[[int], object]) -> Take:
        """Have all of it on disk; raises as `look` does, and keeps what came so far.

        Args:
            advance: told each change of the bytes at hand, below zero where some were dropped.
        """
        take: Take | None = self.look()
        self._whole, self._advance = True, advance
        advance(self.partial.have)
        reached = -1
        while True:
            self._stop = take.head + take.body if take else 4 * self._stop
            take = self.session.retry(self._ask)
            if take and self.partial.have == take.body:
                return take
            if self._stop + self.partial.have <= reached:
                raise DownloadError("it ends early, each time")
            reached = self._stop + self.partial.have

    def _planned(self) -> Take | None:
        if self.partial.head:
            # What an earlier try saw may be outdated: it is no reason to give up.
            with contextlib.suppress(WrongInputError):
                return self.plan(self.partial.head, self.partial.version.size)
        return None

    def _ask(self) -> Take | None:
        """Make one request; None where the head is longer than what was asked for."""
        partial, start, stop = self.partial, 0, self._stop
        take = self._planned() if partial.version.condition else None
        if take:
            # At least one byte is asked for: the server says whether the rest still belongs to it.
            self._shrink(take.body - 1)
            start, stop = take.head + partial.have, take.head + take.body
        try:
            with self.session.get(self.url, start, stop, partial.version if take else None) as got:
                if take is None or got.start == 0:
                    return self._begin(got)
                if got.version.contradicts(partial.version):
                    self._shrink(0)
                    partial.discard()
                    raise TransientError("the file there changes while it is fetched")
                self._append(got.chunks, take)
        except DownloadError as error:
            if error.status != 416:
                raise
            self._shrink(0)
            partial.discard()
            raise (TransientError if start else DownloadError)("it is empty or shrank") from None
        return take

    def _begin(self, reply: Reply) -> Take | None:
        self._shrink(0)
        self.partial.discard()
        start, take = b"", None
        for chunk in reply.chunks:
            start += chunk
            take = self.plan(start, reply.version.size)
            if take:
                break
        if take is None:
            if len(start) < self._stop:
                raise DownloadError(f"it ends after {len(start)} bytes, inside its header")
            return None
        self.partial.begin(reply.version, start[: take.head])
        self._append(chain([start[take.head :]], reply.chunks if self._whole else ()), take)
        return take

    def _append(self, chunks: Iterable[bytes], take: Take) -> None:
        have = self.partial.have
        with self.partial.body.open("ab") as file:
            for chunk in chunks:
                if self.session.stop.is_set():
                    raise StoppedError
                piece = chunk[: take.body - have]
                file.write(piece)
                self._advance(len(piece))
                have += len(piece)
                if have == take.body:
                    break

    def _shrink(self, size: int) -> None:
        before = self.partial.have
        self.partial.keep(size)
        self._advance(self.partial.have - before)
