"""Chunks of drawings, in order, drawn by several processes at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing.process import BaseProcess

import numpy as np
from numpy.typing import NDArray

from quickspine.sources.doodles.drawing import draw

Job = tuple[str, int, int, int]  # the arguments of `draw`: category, seed, start, stop

_MOST = 16  # processes: beyond that the one that writes is the bottleneck


def cores() -> int:
    """How many processes are worth starting: the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return min(len(os.sched_getaffinity(0)), _MOST)
    return min(os.cpu_count() or 1, _MOST)


def drawn(jobs: Iterable[Job], processes: int) -> Generator[NDArray[np.uint8], None, None]:
    """What `draw` returns for each job, in the order of the jobs; the same for any `processes`.

    A few jobs a process are under way at a time, so memory does not grow with their number.
    Close the generator (`contextlib.closing`) to end the processes early.
    """
    if processes == 1:
        for job in jobs:
            yield draw(*job)
        return
    rest = iter(jobs)
    # Spawned, not forked: the same on every platform, and safe where the parent has threads.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_follow_parent)
    try:
        pending = deque(pool.submit(draw, *job) for job in islice(rest, 3 * processes))
        while pending:
            chunk = pending.popleft().result()
            pending.extend(pool.submit(draw, *job) for job in islice(rest, 1))
            yield chunk
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _follow_parent() -> None:
    """Leave interrupts to the parent, and end with it, even where it was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:  # it is in a spawned process
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
