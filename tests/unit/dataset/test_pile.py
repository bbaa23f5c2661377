"""Drawings dealt to shards in any order of the categories come back as a stable sort has them."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quickspine.dataset.records.shard_buffer import Pile
from tests.unit.dataset.conftest import random_drawings


@given(
    counts=st.lists(st.integers(0, 60), min_size=1, max_size=5),
    shards=st.integers(1, 40),
    pixels=st.integers(1, 9),
    at_once=st.integers(1, 50),
    seed=st.integers(0, 99),
)
def test_shards_are_taken_as_they_were_dealt(
    counts: list[int], shards: int, pixels: int, at_once: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    drawings = [random.integers(0, 256, (count, pixels), np.uint8) for count in counts]
    dealt = [random.integers(shards, size=count).astype(np.uint16) for count in counts]
    sizes = [np.bincount(numbers, minlength=shards) for numbers in dealt]
    with tempfile.TemporaryDirectory() as folder:
        with Pile(Path(folder, "pile"), pixels, np.sum(sizes, axis=0)) as pile:
            following = pile.starts[:-1] + np.cumsum([np.zeros_like(sizes[0]), *sizes], axis=0)[:-1]

            def deal(label: int) -> None:
                for start in range(0, counts[label], at_once):
                    part = slice(start, start + at_once)
                    pile.deal(label, drawings[label][part], dealt[label][part], following[label])

            with ThreadPoolExecutor(3) as pool:
                list(pool.map(deal, random.permutation(len(counts)).tolist()))
            every, numbers = np.concatenate(drawings), np.concatenate(dealt)
            labels = np.repeat(np.arange(len(counts)), counts)
            for expected in reversed(range(shards)):
                number, rows = pile.take()
                assert number == expected
                np.testing.assert_array_equal(rows["pixels"], every[numbers == number])
                np.testing.assert_array_equal(rows["label"], labels[numbers == number])
                left = int(pile.starts[number]) * pile.row.itemsize
                assert Path(folder, "pile").stat().st_size == left
        assert list(Path(folder).iterdir()) == []


def test_a_pile_that_became_shorter_is_an_error(tmp_path: Path) -> None:
    with Pile(tmp_path / "pile", 4, np.array([3, 3])) as pile:
        following = pile.starts[:-1].copy()
        pile.deal(1, random_drawings(6, 2), np.array([0, 1, 0, 1, 0, 1], np.uint8), following)
        with (tmp_path / "pile").open("r+b") as file:
            file.truncate(5 * pile.row.itemsize)
        with pytest.raises(OSError, match="became shorter"):
            pile.take()
