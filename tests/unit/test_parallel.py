"""Jobs by threads and processes: the same results in the same order, and nothing left running."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quickspine import parallel
from quickspine.parallel import Stop, by_processes, by_threads, go_on
from tests.spawned import spawned

Several = Callable[..., Any]
BOTH = pytest.mark.parametrize("several", [by_threads, by_processes])


def squared(job: int, stop: Stop) -> int:
    time.sleep(0.001 * (job % 3))  # later ones may be done first
    return job * job


def failing(job: int, stop: Stop) -> int:
    if job == 3:
        raise ZeroDivisionError("the third")
    return job


def long(job: int, stop: Stop) -> int:
    """One that ends at once, and others that go on until nobody waits for them."""
    while job:
        go_on(stop)
        time.sleep(0.01)
    return os.getpid()


def dying(job: int, stop: Stop) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@given(st.integers(0, 40), st.integers(1, 7))
def test_threads_give_results_in_the_order_of_the_jobs(count: int, workers: int) -> None:
    found = list(by_threads(squared, iter(range(count)), workers))
    assert found == [job * job for job in range(count)]


@pytest.mark.parametrize("workers", [1, 3])
def test_processes_give_the_same(workers: int) -> None:
    found = list(by_processes(squared, range(20), workers))
    assert found == [job * job for job in range(20)]
    assert not spawned(psutil.Process())


@BOTH
@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_job_raises_is_raised_in_its_turn(several: Several, workers: int) -> None:
    found = several(failing, range(10), workers)
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ZeroDivisionError, match="the third"):
        next(found)
    assert not spawned(psutil.Process())


@BOTH
def test_closing_ends_jobs_that_go_on(several: Several) -> None:
    before = threading.active_count()
    with closing(several(long, iter(range(100)), 2)) as found:
        assert (next(found) == os.getpid()) == (several is by_threads)
    assert not spawned(psutil.Process())
    assert threading.active_count() == before


@settings(max_examples=5)
@given(st.integers(1, 4))
def test_few_jobs_are_begun_ahead(workers: int) -> None:
    begun = 0

    def jobs() -> Iterator[int]:
        nonlocal begun
        for job in range(1000):
            begun += 1
            yield job

    with closing(by_threads(squared, jobs(), workers)) as found:
        for _ in range(5):
            next(found)
        assert begun <= 5 + parallel.AHEAD * workers


def test_a_killed_process_is_a_want_of_memory() -> None:
    with pytest.raises(MemoryError, match="a worker process was killed"):
        list(by_processes(dying, range(5), 2))
    assert not spawned(psutil.Process())
