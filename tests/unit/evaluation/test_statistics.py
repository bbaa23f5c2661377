from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from quickspine.evaluation import statistics
from quickspine.evaluation.statistics import Bootstrap, compare, p_value, verdict


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def found(
    dense: Any, spinal: Any, *, luck: int = 0, confidence: float = 0.95
) -> statistics.Comparison:
    return compare(
        np.asarray(dense, bool),
        np.asarray(spinal, bool),
        samples=500,
        confidence=confidence,
        generator=generator(luck),
    )


def heads(
    seeds: int, drawings: int, luck: float, source: np.random.Generator, better: float = 0.0
) -> Any:
    """Right or wrong, bool [2, seeds, drawings]: drawings differ in difficulty, runs in luck."""
    ease = source.normal(1.5, 1.2, drawings)
    runs = source.normal(0, luck, (2, seeds, 1)) + np.array([0, better])[:, None, None]
    return ease + runs + source.normal(0, 0.8, (2, seeds, drawings)) > 0


def test_wilson_by_hand() -> None:
    z, n, share = stats.norm.ppf(0.975), 50, 0.9
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    assert statistics.wilson(45, 50) == pytest.approx((middle - half, middle + half))
    assert statistics.wilson(0, 10)[0] == 0


def test_error_reduction_is_the_papers() -> None:
    assert statistics.error_reduction(0.90, 0.92) == pytest.approx(20)
    assert statistics.error_reduction(0.90, 0.85) == pytest.approx(-50)
    assert statistics.error_reduction(1.0, 0.5) is None


def test_one_seed_is_mcnemars_exact_test() -> None:
    differences = np.array([[1] * 9 + [-1] * 2 + [0] * 30], np.int8)
    want = stats.binomtest(9, 11).pvalue
    assert p_value(differences, generator()) == pytest.approx(want)
    assert p_value(np.zeros((1, 5), np.int8), generator()) == 1


def test_several_seeds_are_flipped_together() -> None:
    # Three seeds that agree hold no more evidence than one: the p-value is that of one.
    one = np.array([[1] * 9 + [-1] * 2 + [0] * 30], np.int8)
    want = stats.binomtest(9, 11).pvalue
    assert p_value(np.repeat(one, 3, axis=0), generator()) == pytest.approx(want, abs=0.006)


def test_the_flips_match_counting_all_of_them() -> None:
    differences = np.array([[1, 1, 0, -1, 1, 1], [1, 0, 0, 1, 1, 0]], np.int8)
    sums = differences.sum(0)
    signs = np.array(np.meshgrid(*[[-1, 1]] * len(sums))).reshape(len(sums), -1)
    want = (abs(sums @ signs) >= abs(sums.sum())).mean()
    assert p_value(differences, generator()) == pytest.approx(want, abs=0.006)


def test_never_a_p_value_of_zero() -> None:
    differences = np.ones((2, 500), np.int8)
    assert p_value(differences, generator()) == 1 / (statistics.FLIPS + 1)


def test_one_seed_gives_the_plain_bootstrap_of_the_drawings() -> None:
    scores = (generator(3).random((1, 400)) < 0.3).astype(np.int8)
    low, high = Bootstrap(scores, 20_000, generator()).interval(0.95)
    means = generator(1).choice(scores[0], (20_000, 400)).mean(1)
    assert (low, high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])), abs=0.004)


def test_seeds_alone_give_about_students_interval() -> None:
    # Within a seed all drawings are alike: only the seeds speak.
    levels = generator(5).integers(-1, 2, 12)
    scores = np.repeat(levels[:, None], 50, axis=1).astype(np.int8)
    low, high = Bootstrap(scores, 20_000, generator()).interval(0.95)
    want = stats.t.interval(0.95, 11, levels.mean(), stats.sem(levels))
    assert (low, high) == pytest.approx(want, abs=0.06)


def test_widening() -> None:
    assert statistics.widening(1, 0.95) == 1
    assert statistics.widening(3, 0.95) == pytest.approx(4.3027 / 1.95996 * 1.5**0.5, rel=1e-4)
    assert 1 < statistics.widening(200, 0.95) < 1.01


def test_chunks_bound_memory_and_fill_every_resample(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = (generator(3).random((4, 300)) < 0.3).astype(np.int8)
    whole = Bootstrap(scores, 3000, generator()).interval(0.95)
    monkeypatch.setattr(statistics, "CELLS", 64)
    assert Bootstrap(scores, 3000, generator()).interval(0.95) == pytest.approx(whole, abs=0.01)


@given(st.integers(1, 4), st.integers(1, 80), st.integers(0, 2**32))
@example(4, 65, 169)
def test_what_must_hold(seeds: int, drawings: int, seed: int) -> None:
    dense, spinal = heads(seeds, drawings, 0.3, generator(seed))
    one, again = found(dense, spinal), found(dense, spinal)
    assert one == again
    assert one.accuracy_difference == pytest.approx(spinal.mean() - dense.mean())
    assert -1 <= one.ci95[0] <= one.ci95[1] <= 1
    assert one.ci == one.ci95
    assert 0 < one.p_value <= 1
    assert one.resampled == ("drawings" if seeds == 1 else "seeds and drawings")
    swapped = found(spinal, dense)
    assert swapped.accuracy_difference == pytest.approx(-one.accuracy_difference)
    if one.accuracy_difference != 0:  # no luck in which head is called which
        assert swapped.ci95 == (-one.ci95[1], -one.ci95[0])
        assert swapped.p_value == one.p_value
        assert swapped.verdict.startswith("dense better") == one.verdict.startswith("spinal better")


def test_more_confidence_is_a_wider_interval() -> None:
    dense, spinal = heads(3, 300, 0.1, generator())
    result = found(dense, spinal, confidence=0.99)
    assert result.ci[0] < result.ci95[0]
    assert result.ci[1] > result.ci95[1]


def test_heads_that_never_differ_are_not_called_equal_beyond_the_evidence() -> None:
    answers = generator().random((3, 100)) < 0.8
    result = found(answers, answers)
    assert result.ci95[1] == pytest.approx(1 - 0.05 ** (1 / 100))
    assert result.p_value == 1
    assert result.verdict == "no difference larger than 3.0 points can be claimed"


@pytest.mark.parametrize(
    ("interval", "p", "words"),
    [
        ((0.01, 0.02), 0.01, "spinal better"),
        ((-0.02, -0.01), 0.01, "dense better"),
        ((0.01, 0.02), 0.06, "no difference larger than 2.0 points can be claimed"),
        ((-0.0131, 0.002), 0.01, "no difference larger than 1.4 points can be claimed"),
        ((-0.001, 0.00231), 0.5, "no difference larger than 0.24 points can be claimed"),
    ],
)
def test_verdict(interval: tuple[float, float], p: float, words: str) -> None:
    assert verdict(interval, p, 0.95, 3) == words
    assert (
        verdict(interval, p, 0.95, 1) == f"{words} (one seed: this says nothing about other seeds)"
    )


def test_a_clear_winner_is_found() -> None:
    dense, spinal = heads(3, 1200, 0.02, generator(2), better=0.6)
    assert found(dense, spinal).verdict == "spinal better"
    assert found(spinal, dense).verdict == "dense better"


@pytest.mark.parametrize(("seeds", "luck"), [(1, 0.0), (3, 0.0), (3, 0.4), (6, 0.2)])
def test_equal_heads_are_rarely_called_different(
    seeds: int, luck: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics, "FLIPS", 999)
    source = generator(7)
    results = [found(*heads(seeds, 400, luck, source), luck=turn) for turn in range(200)]
    by_interval = sum(not one.ci95[0] <= 0 <= one.ci95[1] for one in results)
    by_verdict = sum("better" in one.verdict for one in results)
    assert by_interval <= 16  # 8 % of 200, at a level of 5 %
    assert by_verdict <= 16
    if not luck:  # the test speaks of these models, so it may find the luck of their seeds
        assert sum(one.p_value < 0.05 for one in results) <= 16


@pytest.mark.parametrize(
    ("dense", "spinal"),
    [(np.ones((2, 3)), np.ones((3, 3))), (np.ones(3), np.ones(3)), (np.ones((0, 3)),) * 2],
)
def test_what_is_not_paired_is_refused(dense: Any, spinal: Any) -> None:
    with pytest.raises(ValueError, match="Received"):
        found(dense, spinal)
