"""Run jobs in several threads or processes; their results come in the order of the jobs.

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

MAX_WORKERS = 16  # beyond that the consumer of their results is the bottleneck
AHEAD = 3  # jobs a worker that are running or done: memory does not grow with their number
SIGNAL_DELAY_S = 0.5  # a signal that ended a worker reaches this process too, if sent to both


class Stop(Protocol):
    """An event that is set when nobody waits for a job any longer."""

    def is_set(self) -> bool:
        """Whether to give up."""


class GivenUpError(Exception):
    """Raised inside a cancelled job; never reaches the caller."""


Work = Callable[[J, Stop], R]


def go_on(stop: Stop) -> None:
    """Raise GivenUpError once nobody waits: long jobs call this a few times a second."""
    if stop.is_set():
        raise GivenUpError


@cache
def processors() -> int:
    """Count the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cores() -> int:
    """Choose a number of workers worth starting."""
    return min(processors(), MAX_WORKERS)


def by_threads(
    work: Work[J, R], jobs: Iterable[J], workers: int | None = None
) -> Generator[R, None, None]:
    """Yield what `work(job, stop)` returns for each job, in their order, from `workers` threads.

    Jobs are taken from `jobs` as they can be begun. Close the generator (`contextlib.closing`)
    to end early; what a job raises is raised here, and ends the others.

    Args:
        work: called in another thread, or in this one where there is one worker.
        jobs: its first arguments.
        workers: how many; default: `cores()`.
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
        pool.shutdown(cancel_futures=True)


def by_processes(
    work: Work[J, R], jobs: Iterable[J], workers: int | None = None
) -> Generator[R, None, None]:
    """Like `by_threads`, in processes; `work`, jobs and results are pickled between them.

    Raises:
        MemoryError: if a process is killed: usually the system did it for want of memory.
    """
    workers = workers or cores()
    if workers == 1:
        yield from by_threads(work, jobs, 1)
        return
    # Spawned, not forked: the same on every platform, and safe where the parent has threads.
    context = multiprocessing.get_context("spawn")
    with _signals_blocked():
        stop = context.Event()  # starts a process that keeps track of it
    pool = ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(stop,))

    def submit(job: J) -> Future[R]:
        with _signals_blocked():
            return pool.submit(_do, work, job)

    try:
        yield from _in_order(submit, jobs, workers)
    except BrokenProcessPool:
        time.sleep(SIGNAL_DELAY_S)
        raise MemoryError("a worker process was killed") from None
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


def _in_order(submit: Callable[[J], Future[R]], jobs: Iterable[J], workers: int) -> Iterator[R]:
    rest = iter(jobs)
    pending = deque(map(submit, islice(rest, AHEAD * workers)))
    while pending:
        result = pending.popleft().result()
        pending.extend(map(submit, islice(rest, 1)))
        yield result


@contextlib.contextmanager
def _signals_blocked() -> Iterator[None]:
    """Start processes that never see Ctrl-C or a closed terminal: their parent ends them.

    The parent sees a signal at the end of the block, when no process is half started.
    """
    with held_back():
        old = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGHUP))
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, old)


_stop: Stop = threading.Event()  # of a worker process: its parent's


def _begin(stop: Stop) -> None:
    """In a new process: take the parent's event, and end with the parent even if it is killed."""
    global _stop
    _stop = stop
    parent = multiprocessing.parent_process()
    if parent is not None:  # always, in a spawned process
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _do(work: Work[Any, Any], job: Any) -> Any:
    return work(job, _stop)
