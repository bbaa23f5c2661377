"""Jobs done by several threads or processes at once; what they return comes in their order.

Threads where the work is NumPy's, hashlib's and the disk's, which let other threads run meanwhile;
processes where it is Python's own. Results never depend on which, or on how many.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from itertools import islice
from multiprocessing.process import BaseProcess
from typing import Any, Protocol, TypeVar

from quickspine.signals import held_back

J = TypeVar("J")
R = TypeVar("R")

MOST = 16  # workers: beyond that the one who takes their results is the bottleneck
AHEAD = 3  # jobs a worker that are under way or done: memory does not grow with their number
TOLD_S = 0.5  # a signal that ended a worker reaches this process too, if it was sent to both


class Stop(Protocol):
    """Set when nobody waits for a job any longer."""

    def is_set(self) -> bool:
        """Whether to give up."""


class GivenUpError(Exception):
    """A job ended early because nobody waits for it: nobody sees this."""


Work = Callable[[J, Stop], R]


def go_on(stop: Stop) -> None:
    """Raise GivenUpError once nobody waits: called by jobs of seconds, a few times a second."""
    if stop.is_set():
        raise GivenUpError


@cache
def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cores() -> int:
    """How many workers are worth starting."""
    return min(processors(), MOST)


def by_threads(
    work: Work[J, R], jobs: Iterable[J], workers: int | None = None
) -> Generator[R, None, None]:
    """What `work(job, stop)` returns for each job, in their order, from `workers` threads.

    Jobs are taken from `jobs` as they can be begun. Close the generator (`contextlib.closing`)
    to end early; what a job raises is raised here, and ends the others.

    Args:
        work: done in another thread, or here where there is one worker.
        jobs: its first arguments.
        workers: how many; as many as `cores` by default.
    """
    workers, stop = workers or cores(), threading.Event()
    if workers == 1:
        yield from (work(job, stop) for job in jobs)
        return
    pool = ThreadPoolExecutor(workers)
    try:
        yield from _in_order(lambda job: pool.submit(work, job, stop), jobs, workers)
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


def by_processes(
    work: Work[J, R], jobs: Iterable[J], workers: int | None = None
) -> Generator[R, None, None]:
    """As `by_threads`, by processes; `work`, jobs and results are sent to and fro.

    Raises:
        MemoryError: if a process is killed: where nobody else did, the system did, for memory.
    """
    workers = workers or cores()
    if workers == 1:
        yield from by_threads(work, jobs, 1)
        return
    # Spawned, not forked: the same on every platform, and safe where the parent has threads.
    context = multiprocessing.get_context("spawn")
    with _deaf():
        stop = context.Event()  # starts a process that keeps track of it
    pool = ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(stop,))

    def submit(job: J) -> Future[R]:
        with _deaf():
            return pool.submit(_do, work, job)

    try:
        yield from _in_order(submit, jobs, workers)
    except BrokenProcessPool:
        time.sleep(TOLD_S)
        raise MemoryError("a worker process was killed") from None
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _in_order(submit: Callable[[J], Future[R]], jobs: Iterable[J], workers: int) -> Iterator[R]:
    rest = iter(jobs)
    pending = deque(submit(job) for job in islice(rest, AHEAD * workers))
    while pending:
        result = pending.popleft().result()
        pending.extend(submit(job) for job in islice(rest, 1))
        yield result


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Processes started here never hear Ctrl-C or a closed terminal: their parent ends them.

    The parent hears a signal at the end of the block, when no process is half started.
    """
    with held_back():
        old = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGHUP))
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, old)


_stop: Stop = threading.Event()  # of a worker process: its parent's


def _begin(stop: Stop) -> None:
    """In a new process: hear the parent, and end with it, even where it was killed."""
    global _stop
    _stop = stop
    parent = multiprocessing.parent_process()
    if parent is not None:  # it is in a spawned process
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _do(work: Work[Any, Any], job: Any) -> Any:
    return work(job, _stop)
