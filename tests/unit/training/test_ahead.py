"""Batches asked for one ahead: all, in their order, and no thread that stays."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from quickspine.training.prefetch import ahead


def test_all_come_in_their_order() -> None:
    assert list(ahead(iter(range(1, 50)))) == list(range(1, 50))
    assert list(ahead(iter([]))) == []


def test_the_next_is_asked_for_before_it_is_wanted_and_no_more() -> None:
    asked = [threading.Event() for _ in range(4)]

    def batches() -> Iterator[int]:
        for number, event in enumerate(asked):
            event.set()
            yield number

    with closing(ahead(batches())) as found:
        assert next(found) == 0
        assert asked[1].wait(60)
        assert next(found) == 1
        assert asked[2].wait(60)
        assert not asked[3].is_set()


def test_what_asking_raises_comes_in_its_turn() -> None:
    def batches() -> Iterator[int]:
        yield 1
        raise OSError("damaged")

    found = ahead(batches())
    assert next(found) == 1
    with pytest.raises(OSError, match="damaged"):
        next(found)
    assert next(found, None) is None


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_closing_leaves_no_thread(taken: int) -> None:
    before = threading.active_count()
    with closing(ahead(iter(range(100)))) as found:
        for number in range(taken):
            assert next(found) == number
    assert threading.active_count() == before
