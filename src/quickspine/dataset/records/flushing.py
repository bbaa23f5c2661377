"""Files put on the disk while others are still being made: nobody waits for that at the end."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType


class Flushing:
    """Has the system write finished files from its memory to the disk, one after the other.

    Example:
        with Flushing() as flushing:
            for path in write_many():
                flushing.add(path)

    Raises:
        OSError: from `add` or at the end of the block, if the disk will not have one of them.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._pending: deque[Future[None]] = deque()

    def add(self, path: Path) -> None:
        """Begin with a file that is complete."""
        while self._pending and self._pending[0].done():
            self._pending.popleft().result()
        self._pending.append(self._pool.submit(_flush, path))

    def __enter__(self) -> Flushing:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                for pending in self._pending:
                    pending.result()
        finally:
            self._pool.shutdown(wait=True, cancel_futures=True)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
