"""What content decides: digests, splits by their shares, and which images are equal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from quickspine.dataset.prepare import content as module
from quickspine.dataset.prepare.content import repeats, split_of
from quickspine.params import SPLITS, Split

SHARES = [(0.8, 0.1, 0.1), (1 / 3, 1 / 3, 1 / 3), (0.01, 0.98, 0.01), (0.7, 0.1, 0.2)]


def split(train: float, validation: float, test: float) -> Split:
    return Split(train=train, validation=validation, test=test)


def drawings(count: int, pixels: int = 16, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, pixels), dtype=np.uint8)


def digests(rows: NDArray[np.uint8]) -> NDArray[np.uint64]:
    return module.digests(row.tobytes() for row in rows)


def test_digests_are_those_of_every_earlier_run() -> None:
    """Another digest would move drawings between the splits."""
    assert digests(np.zeros((1, 784), np.uint8)).tolist() == [
        [15798216855977084569, 14164455535139107228]
    ]
    found = digests(np.arange(16, dtype=np.uint8).reshape(2, 8))
    assert found.dtype == np.uint64
    assert found.tolist() == [
        [7338454714365110736, 9978894680388675371],
        [12516998478522812163, 6995183501948838598],
    ]
    assert digests(np.empty((0, 784), np.uint8)).shape == (0, 2)


@pytest.mark.parametrize("shares", SHARES)
def test_the_shares_are_met_within_sampling_noise(shares: tuple[float, float, float]) -> None:
    count = 40_000
    counts = np.bincount(split_of(digests(drawings(count)), split(*shares)), minlength=3)
    for got, share in zip(counts, shares, strict=True):
        deviation = (count * share * (1 - share)) ** 0.5
        assert abs(got - count * share) < 5 * deviation


def test_a_larger_share_keeps_what_it_had() -> None:
    content = digests(drawings(5000))
    small, large = split_of(content, split(0.6, 0.2, 0.2)), split_of(content, split(0.7, 0.1, 0.2))
    assert (large[small == SPLITS.index("train")] == SPLITS.index("train")).all()
    moved = np.flatnonzero(large != small)
    assert set(small[moved]) == {1}  # the test split stays as it was too
    assert set(large[moved]) == {0}


def test_the_edges_belong_to_a_split() -> None:
    edges = np.array([0, 2**63 - 1, 2**63, 2**64 - 1], np.uint64)
    content = np.stack([edges, np.zeros_like(edges)], axis=1)
    assert split_of(content, split(0.5, 0.25, 0.25)).tolist() == [0, 1, 1, 2]
    assert split_of(content[:0], split(0.5, 0.25, 0.25)).shape == (0,)


@pytest.mark.parametrize("at_once", [7, 100, 4_000_000])
@given(
    rows=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 2)), max_size=60),
    ranked=st.booleans(),
)
def test_all_but_the_first_of_equal_images_repeat_it(
    at_once: int, rows: list[tuple[int, int]], ranked: bool
) -> None:
    """However they are sorted in parts; the one of the lowest rank comes first."""
    content = digests(np.array([value for value, _ in rows], np.uint8).reshape(-1, 1))
    ranks = np.array([rank for _, rank in rows], np.uint8)
    order = sorted(range(len(rows)), key=lambda n: (int(ranks[n]) if ranked else 0, n))
    first: dict[int, int] = {}
    for number in order:
        first.setdefault(rows[number][0], number)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SORTED_AT_ONCE", at_once)
        found = repeats(content, ranks if ranked else None)
    assert np.flatnonzero(~found).tolist() == sorted(first.values())


def test_digests_that_agree_in_one_word_only_are_no_repeats() -> None:
    content = np.array([[1, 2], [1, 3], [2, 2], [0, 0], [3, 1], [2, 1]], np.uint64)
    assert not repeats(content).any()
    both = repeats(np.concatenate([content, content[::-1]]))
    assert np.flatnonzero(both).tolist() == [6, 7, 8, 9, 10, 11]
