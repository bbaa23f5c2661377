"""One batch ahead: to ask TensorFlow for one takes half a millisecond, though it is there."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

B = TypeVar("B")


def ahead(batches: Iterator[B]) -> Generator[B, None, None]:
    """The same batches, each asked for in a thread while the one before it is used.

    Close it (`contextlib.closing`) to end early. What asking raises is raised in its turn.

    Args:
        batches: none of them None.
    """
    with ThreadPoolExecutor(1, "ahead") as thread:
        coming = thread.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = thread.submit(next, batches, None)
            yield batch
