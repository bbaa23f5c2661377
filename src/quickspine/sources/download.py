"""Requests for parts of files over HTTP: pooled connections, patience, no byte unasked."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self, TypeVar

import httpx
import tenacity
from tqdm import tqdm

from quickspine.sources import reply
from quickspine.sources.reply import DownloadError, Reply, TransientError, Version

ATTEMPTS = 5  # for each request, with these waits between them:
BACKOFF_S = 0.5  # the first one; doubled each time, each longer by up to this at random
BACKOFF_CAP_S = 15.0
RETRY_AFTER_CAP_S = 60.0  # a server may ask for more patience, up to this
TOLD_S = 5.0  # longer waits are told
CONNECT_S, READ_S = 10.0, 30.0
REDIRECTS = 5

T = TypeVar("T")


class StoppedError(Exception):
    """Another thread set `Session.stop`."""


class Session:
    """A pool of connections that several threads may share; ends at `with`'s end.

    Args:
        auth: user and password, for the host that is asked first only.
        secure: whether no request may go without TLS, also where a redirect says so.
    """

    def __init__(self, auth: tuple[str, str] | None = None, secure: bool = False) -> None:
        # httpx logs each URL at INFO; the query may be a signature that is nobody's business.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self.stop = threading.Event()
        self._client = httpx.Client(
            auth=auth,
            follow_redirects=True,
            max_redirects=REDIRECTS,
            timeout=httpx.Timeout(READ_S, connect=CONNECT_S),
            headers={"Accept-Encoding": "identity", "User-Agent": "quickspine"},
            event_hooks={"request": [_stay_secure] if secure else []},
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
            before_sleep=_tell,
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
                yield reply.read(response, start)
        except (httpx.UnsupportedProtocol, httpx.TooManyRedirects) as error:
            raise DownloadError(f"a redirect that is not followed ({error})") from None
        except httpx.TransportError as error:
            raise TransientError(f"{type(error).__name__}: {error}") from None


def _stay_secure(request: httpx.Request) -> None:
    if request.url.scheme != "https":
        raise httpx.UnsupportedProtocol(f"from https to {request.url.scheme}")


def _tell(state: tenacity.RetryCallState) -> None:
    """Say why nothing happens for a while."""
    wait = state.next_action.sleep if state.next_action else 0
    if wait >= TOLD_S and state.outcome:
        problem = state.outcome.exception()
        tqdm.write(f"fetch: {problem}; the next try is in {wait:.0f} s", file=sys.stderr)


def _patience(state: tenacity.RetryCallState) -> float:
    steady = tenacity.wait_exponential(multiplier=BACKOFF_S, max=BACKOFF_CAP_S)
    backoff = (steady + tenacity.wait_random(0, BACKOFF_S))(state)
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, TransientError) else 0
    return max(backoff, min(asked, RETRY_AFTER_CAP_S))
