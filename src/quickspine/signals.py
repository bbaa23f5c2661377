"""Ctrl-C, SIGTERM and a closed terminal as one exception, which may wait for a good moment."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from types import FrameType

STOPPING = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
AGAIN_S = 5.0  # a second signal within this time does not disturb the tidying up after the first


class Stopped(KeyboardInterrupt):
    """A signal to stop.

    A class of its own: where a bare KeyboardInterrupt passes through `exec`, as at an import,
    CPython ends the process by SIGINT at the very end, whatever exit code it was given.
    """


_holding = 0  # blocks of `held_back` that are open
_waiting = False  # whether a signal came in one of them
_answered: float | None = None  # when the first was answered


def stop_by_exception() -> None:
    """Answer signals to stop with `Stopped`.

    As an exception, so that checkpoints are written, locks freed, half-made folders removed and
    the run closed. SIGINT too, since a shell starts background jobs deaf to it; but SIGHUP stays
    ignored where it was, by `nohup`.
    """
    global _answered
    _answered = None
    for number in STOPPING:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop)


def _stop(number: int, frame: FrameType | None) -> None:
    global _answered, _waiting
    if _holding:
        _waiting = True
        return
    if _answered is None or time.monotonic() - _answered >= AGAIN_S:
        _answered = time.monotonic()
        raise Stopped


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Let a signal to stop wait for the end of the block; without `stop_by_exception`, nothing."""
    global _holding, _waiting
    _holding += 1
    try:
        yield
    finally:
        _holding -= 1
    if _waiting and not _holding:
        _waiting = False
        _stop(0, None)
