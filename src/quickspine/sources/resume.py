"""The first bytes of a file over HTTP: only those needed, resumed, never of two versions."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain

from quickspine.errors import InputError
from quickspine.sources.download import Session, StoppedError
from quickspine.sources.partial import Partial
from quickspine.sources.reply import DownloadError, Reply, TransientError

PROGRESS = 1 << 20  # bytes that earn a connection which breaks its full number of attempts again
FIRST = 128  # bytes asked for to see a head; what is more than the head is kept


@dataclass(frozen=True)
class Take:
    """How many bytes to take of a remote file: a head, kept apart, and what follows it."""

    head: int
    body: int


# The first bytes and, where known, the size of a file → what to take; None: more bytes are needed.
# Raises InputError where the file will not do.
Plan = Callable[[bytes, int | None], Take | None]


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
            InputError: what `plan` raises.
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
            take = self._persist()
            if take and self.partial.have == take.body:
                return take
            if self._stop + self.partial.have <= reached:
                raise DownloadError("it ends early, each time")
            reached = self._stop + self.partial.have

    def _persist(self) -> Take | None:
        """Ask, and go on asking while much comes each time, however often the connection breaks."""
        while True:
            before = self.partial.have
            try:
                return self.session.retry(self._ask)
            except TransientError:
                if self.partial.have < before + PROGRESS:
                    raise

    def _planned(self) -> Take | None:
        if self.partial.head:
            # What an earlier try saw may be outdated: it is no reason to give up.
            with contextlib.suppress(InputError):
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
            if start and error.size != partial.version.size:
                self._shrink(0)
                partial.discard()
            problem = "HTTP 416: it is empty or shrank"
            raise (TransientError if start else DownloadError)(problem, 416) from None
        return take

    def _begin(self, reply: Reply) -> Take | None:
        # Judged before what is here is dropped: a page that says "log in" may be gone tomorrow.
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
        self._shrink(0)
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
