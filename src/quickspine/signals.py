"""Ctrl-C, SIGTERM and a closed terminal as one exception, which may wait for a good moment."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

STOPPING = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
AGAIN_S = 5.0  # a second signal within this time does not disturb the tidying up after the first


def stop_by_exception() -> None:
    """Answer signals to stop with KeyboardInterrupt.

    As an exception, so that checkpoints are written, locks freed, half-made folders removed and
    the run closed. SIGINT too, since a shell starts background jobs deaf to it; but SIGHUP stays
    ignored where it was, by `nohup`.
    """
    first: list[float] = []

    def stop(number: int, frame: FrameType | None) -> None:
        if first and time.monotonic() - first[0] < AGAIN_S:
            return
        first[:] = [time.monotonic()]
        raise KeyboardInterrupt

    for number in STOPPING:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, stop)


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Let a signal to stop wait for the end of the block; then it is answered as without it.

    Outside the main thread, where Python handles no signals, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        came.append(number)

    before = {number: signal.signal(number, remember) for number in STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
    for each in came:
        signal.raise_signal(each)
