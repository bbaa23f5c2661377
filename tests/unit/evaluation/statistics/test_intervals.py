"""Intervals against formulas by hand, textbook figures and plain resampling."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from quickspine.evaluation.statistics import intervals
from quickspine.evaluation.statistics.intervals import Bootstrap, rule_of_three, widening, wilson
from tests.unit.evaluation.answers import generator


@pytest.mark.parametrize(
    ("right", "total", "interval"),
    # Newcombe 1998, Statistics in Medicine 17, table I, method 3.
    [(81, 263, (0.2553, 0.3662)), (15, 148, (0.0624, 0.1605)), (1, 29, (0.0061, 0.1718))],
)
def test_wilson_of_the_textbooks(right: int, total: int, interval: tuple[float, float]) -> None:
    assert wilson(right, total) == pytest.approx(interval, abs=5e-5)


def test_rule_of_three() -> None:
    assert rule_of_three(100, 0.95) == pytest.approx((-0.0295, 0.0295), abs=1e-4)


def test_widening() -> None:
    assert widening(1, 0.95) == 1
    assert widening(3, 0.95) == pytest.approx(4.3027 / 1.95996 * 1.5**0.5, rel=1e-4)
    assert 1 < widening(200, 0.95) < 1.01


def test_one_seed_gives_the_plain_bootstrap_of_the_images() -> None:
    scores = (generator(3).random((1, 400)) < 0.3).astype(np.int8)
    low, high = Bootstrap(scores, 20_000, generator()).interval(0.95)
    means = generator(1).choice(scores[0], (20_000, 400)).mean(1)
    assert (low, high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])), abs=0.004)


def test_seeds_alone_give_about_students_interval() -> None:
    # Within a seed all images are alike: only the seeds speak.
    levels = generator(5).integers(-1, 2, 12)
    scores = np.repeat(levels[:, None], 50, axis=1).astype(np.int8)
    low, high = Bootstrap(scores, 20_000, generator()).interval(0.95)
    want = stats.t.interval(0.95, 11, levels.mean(), stats.sem(levels))
    assert (low, high) == pytest.approx(want, abs=0.06)


def test_chunks_bound_memory_and_fill_every_resample(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = (generator(3).random((4, 300)) < 0.3).astype(np.int8)
    whole = Bootstrap(scores, 3000, generator()).interval(0.95)
    monkeypatch.setattr(intervals, "CELLS", 64)
    assert Bootstrap(scores, 3000, generator()).interval(0.95) == pytest.approx(whole, abs=0.01)


@given(
    st.integers(1, 5),
    st.integers(2, 120),
    st.floats(0.05, 0.95),
    st.floats(0.02, 0.6),
    st.integers(0, 2**32),
)
def test_the_p_value_is_where_the_interval_begins_to_leave_out_zero(
    seeds: int, images: int, share: float, apart: float, seed: int
) -> None:
    source = generator(seed)
    right = source.random((2, seeds, images)) < np.array([share, share - apart])[:, None, None]
    scores = right[0].astype(np.int8) - right[1].astype(np.int8)
    found = Bootstrap(scores, 400, generator(seed))
    p = found.p_value()
    assert 2 / 400 <= p <= 1
    if p < 0.99:
        low, high = found.interval(1 - min(1.0, p * 1.001))
        assert low > 0 or high < 0
    if p > 2 / 400:
        low, high = found.interval(1 - p * 0.999)
        assert low <= 0 <= high


def test_the_p_value_of_one_seed_is_about_that_of_the_normal_test() -> None:
    scores = generator(4).choice(np.array([-1, 0, 1], np.int8), (1, 2000), p=[0.1, 0.775, 0.125])
    z = scores.mean() / scores.std() * np.sqrt(2000)
    want = 2 * stats.norm.sf(abs(z))
    assert Bootstrap(scores, 50_000, generator()).p_value() == pytest.approx(want, rel=0.15)
