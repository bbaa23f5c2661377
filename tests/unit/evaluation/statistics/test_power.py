"""What it would take to settle a comparison: against analysis of variance, and by trying it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quickspine.evaluation.statistics.pairs import compare
from quickspine.evaluation.statistics.power import (
    POWER,
    Components,
    components,
    detectable_effect,
    least_effect,
    needed,
)
from tests.unit.evaluation.answers import generator, heads


def table(*rows: list[int]) -> np.ndarray:
    return np.array(rows, np.int8)


def test_components_by_hand() -> None:
    # Means: seeds 1/2 and −1/4, images 1/2, 1/2, −1/2, 0; of all 1/8.
    values = table([1, 1, 0, 0], [0, 0, -1, 0])
    seeds = 4 * ((1 / 2 - 1 / 8) ** 2 + (-1 / 4 - 1 / 8) ** 2)  # 1 degree of freedom
    images = 2 * ((3 / 8) ** 2 * 2 + (-5 / 8) ** 2 + (-1 / 8) ** 2)  # 3
    rest = (3 - 8 / 64 - seeds - images) / 3
    found = components(values)
    assert found.rest == pytest.approx(rest)
    assert found.seed == pytest.approx((seeds - rest) / 4)
    assert found.image == pytest.approx((images / 3 - rest) / 2)


def test_components_of_a_simulation() -> None:
    found = []
    for turn in range(300):
        source = generator(turn)
        # An image is for one head in all seeds, or a seed lifts all images alike.
        taste = source.random(60) < 0.3
        flip = source.random((5, 60)) < 0.2
        found.append(components((taste ^ flip).astype(np.int8)))
    # Of an image: taste of 0.3 through flips: (1 − 2·0.2)² · 0.3 · 0.7; left: 0.2 · 0.8.
    assert np.mean([each.image for each in found]) == pytest.approx(0.36 * 0.21, rel=0.05)
    assert np.mean([each.rest for each in found]) == pytest.approx(0.16, rel=0.05)
    assert np.mean([each.seed for each in found]) < 0.002


@given(st.integers(1, 5), st.integers(2, 60), st.integers(0, 2**32))
def test_the_variance_of_the_mean_is_that_of_the_parts(seeds: int, images: int, seed: int) -> None:
    values = generator(seed).integers(-1, 2, (seeds, images)).astype(np.int8)
    found = components(values)
    assert min(found.seed, found.image, found.rest) >= 0
    if seeds == 1:
        want = values[0].var(ddof=1) / images
        assert found.variance(1, images) == pytest.approx(want)


def test_one_seed_says_what_it_cannot() -> None:
    right = heads(1, 400, 0.0, generator(3), better=0.1)
    found = needed(right[1].astype(np.int8) - right[0].astype(np.int8), 0.05)
    assert found.seeds is None
    assert "train at least three" in found.words


def test_nothing_seen_needs_no_number() -> None:
    found = needed(np.zeros((3, 50), np.int8), 0.05)
    assert (found.seeds, found.images) == (None, None)
    assert "no difference was observed" in found.words


def test_seeds_that_disagree_are_not_helped_by_image() -> None:
    # Whole seeds are for one head or the other: no number of images tells more about seeds.
    values = np.repeat(table([1], [-1], [1]), 500, axis=1)
    values[:, ::2] = 0
    found = needed(values, 0.05)
    assert found.images is None
    assert found.seeds is not None
    assert f"{found.seeds:,} seeds per head" in found.words


def test_a_tiny_difference_on_few_drawings_is_not_helped_by_seeds() -> None:
    values = np.repeat(table([1, -1] * 20 + [1]), 3, axis=0)  # all seeds alike
    found = needed(values, 0.05)
    assert found.seeds is None
    assert found.images is not None
    assert found.images > 41


@given(
    st.floats(0, 0.01), st.floats(0, 0.3), st.floats(0, 0.3), st.floats(0.001, 0.2),
    st.integers(2, 50), st.integers(10, 100_000),
)  # fmt: skip
def test_more_never_hurts(
    seed: float, image: float, rest: float, size: float, seeds: int, images: int
) -> None:
    parts = Components(seed, image, rest)
    if size >= least_effect(parts, seeds, images, 0.05):
        assert size >= least_effect(parts, seeds + 1, images, 0.05)
        assert size >= least_effect(parts, seeds, images + 1, 0.05)
        assert 1.5 * size >= least_effect(parts, seeds, images, 0.05)


def test_what_is_needed_is_the_least() -> None:
    right = heads(3, 600, 0.05, generator(8), better=0.1)
    values = right[1].astype(np.int8) - right[0].astype(np.int8)
    found, parts, size = needed(values, 0.05), components(values), abs(values.mean())
    assert found.images is not None
    assert size >= least_effect(parts, 3, found.images, 0.05)
    assert size < least_effect(parts, 3, found.images - 1, 0.05)
    assert detectable_effect(values, 0.05) == least_effect(parts, 3, 600, 0.05)
    assert detectable_effect(np.zeros((3, 50), np.int8), 0.05) is None


@pytest.mark.slow
def test_so_many_seeds_do_settle_it_about_as_often_as_was_said() -> None:
    """Heads that differ: what a pilot finds needed is tried, many times over."""

    def trial(seeds: int, turn: int) -> np.ndarray:
        right = heads(seeds, 2000, 0.1, generator(turn), better=0.12)
        found: np.ndarray = right[1].astype(np.int8) - right[0].astype(np.int8)
        return found

    pilots = [components(trial(8, 1000 + turn)) for turn in range(30)]
    parts = Components(*(float(np.mean([getattr(each, name) for each in pilots]))
                         for name in ("seed", "image", "rest")))  # fmt: skip
    size = float(np.mean([trial(8, 2000 + turn).mean() for turn in range(60)]))
    seeds = next(count for count in range(2, 100) if size >= least_effect(parts, count, 2000, 0.05))
    settled = 0
    for turn in range(120):
        right = heads(seeds, 2000, 0.1, generator(turn), better=0.12)
        pair = compare(right[1], right[0], samples=400, confidence=0.95, generator=generator(turn))
        settled += pair.claim < 0.05
    assert POWER - 0.15 <= settled / 120 <= POWER + 0.15
