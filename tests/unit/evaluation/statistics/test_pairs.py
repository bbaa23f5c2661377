"""Two heads compared: what must always hold, what it says, and how often it is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from quickspine.evaluation.statistics import paired
from quickspine.evaluation.statistics.pairs import (
    Pair,
    compare,
    corrected,
    error_reduction,
    verdict,
)
from tests.unit.evaluation.answers import generator, heads

MINUS = "\N{MINUS SIGN}"


def found(dense: Any, spinal: Any, *, luck: int = 0, confidence: float = 0.95) -> Pair:
    """Spinal minus dense."""
    return compare(
        np.asarray(spinal, bool),
        np.asarray(dense, bool),
        samples=500,
        confidence=confidence,
        generator=generator(luck),
    )


def said(pair: Pair) -> str:
    """The verdict where this pair is the only one: Holm's correction changes nothing then.

    (And statsmodels would collect garbage in each of thousands of calls.)
    """
    return verdict(pair, pair.claim, ("spinal", "dense"))


def test_error_reduction_is_the_papers() -> None:
    assert error_reduction(0.90, 0.92) == pytest.approx(20)
    assert error_reduction(0.90, 0.85) == pytest.approx(-50)
    assert error_reduction(1.0, 0.5) is None


@given(st.integers(1, 4), st.integers(1, 80), st.integers(0, 2**32))
@example(4, 65, 169)
def test_what_must_hold(seeds: int, images: int, seed: int) -> None:
    dense, spinal = heads(seeds, images, 0.3, generator(seed))
    one, again = found(dense, spinal), found(dense, spinal)
    assert (one.ci95, one.p_value, one.p_bootstrap) == (
        again.ci95,
        again.p_value,
        again.p_bootstrap,
    )
    assert one.accuracy_difference == pytest.approx(spinal.mean() - dense.mean())
    assert -1 <= one.ci95[0] <= one.ci95[1] <= 1
    assert one.ci == one.ci95
    assert 0 < one.p_value <= 1
    assert 0 < one.p_bootstrap <= 1
    assert one.claim == max(one.p_value, one.p_bootstrap)
    assert one.resampled == ("images" if seeds == 1 else "seeds and images")
    by_seed = [(each.better - each.worse) / images for each in one.mcnemar]
    assert by_seed == pytest.approx(spinal.mean(1) - dense.mean(1))
    swapped = found(spinal, dense)
    assert swapped.accuracy_difference == pytest.approx(-one.accuracy_difference)
    if one.accuracy_difference != 0:  # no luck in which head is called which
        assert swapped.ci95 == (-one.ci95[1], -one.ci95[0])
        assert swapped.p_value == one.p_value
        assert swapped.p_bootstrap == one.p_bootstrap
        assert said(swapped).startswith("dense better") == said(one).startswith("spinal better")


@given(st.integers(2, 4), st.floats(0, 0.8), st.integers(0, 2**32))
def test_a_head_is_called_better_just_where_interval_and_test_agree(
    seeds: int, better: float, seed: int
) -> None:
    pair = found(*heads(seeds, 150, 0.1, generator(seed), better))
    low, high = pair.ci
    agree = pair.p_value < 0.05 and not low <= 0 <= high
    assert ("better" in said(pair)) == agree


def test_heads_that_never_differ_are_not_called_equal_beyond_the_evidence() -> None:
    answers = generator().random((3, 100)) < 0.8
    result = found(answers, answers)
    assert result.ci95[1] == pytest.approx(1 - 0.05 ** (1 / 100))
    assert (result.p_value, result.p_bootstrap) == (1, 1)
    assert said(result).startswith(f"no significant difference (95 % CI {MINUS}")


@pytest.mark.parametrize(
    ("interval", "difference", "p", "words"),
    [
        ((0.001, 0.02), 0.01, 0.01, "spinal better"),
        ((-0.02, -0.001), -0.01, 0.01, "dense better"),
        ((0.001, 0.02), 0.01, 0.06, "no significant difference (95 % CI +0.10 to +2.00 points)"),
        (
            (-0.0131, 0.002),
            -0.005,
            0.06,
            f"no significant difference (95 % CI {MINUS}1.31 to +0.20 points)",
        ),
        (
            (-0.001, 0.00231),
            0.001,
            0.5,
            f"no significant difference (95 % CI {MINUS}0.10 to +0.23 points)",
        ),
    ],
)
def test_verdict(interval: tuple[float, float], difference: float, p: float, words: str) -> None:
    for seeds, more in ((3, ""), (1, " (one seed: this says nothing about other seeds)")):
        differences = np.zeros((seeds, 4), np.int8)
        pair = Pair(difference, interval, interval, 0.95, p, p, [], None, "", differences)
        assert verdict(pair, p, ("spinal", "dense")) == words + more


def test_a_clear_winner_is_found() -> None:
    dense, spinal = heads(3, 1200, 0.02, generator(2), better=0.6)
    assert said(found(dense, spinal)) == "spinal better"
    assert said(found(spinal, dense)) == "dense better"


@pytest.mark.parametrize(("seeds", "luck"), [(1, 0.0), (3, 0.0), (3, 0.4), (6, 0.2)])
def test_equal_heads_are_rarely_called_different(
    seeds: int, luck: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paired, "FLIPS", 999)
    source = generator(7)
    results = [found(*heads(seeds, 400, luck, source), luck=turn) for turn in range(200)]
    by_interval = sum(not one.ci95[0] <= 0 <= one.ci95[1] for one in results)
    by_verdict = sum("better" in said(one) for one in results)
    assert by_interval <= 16  # 8 % of 200, at a level of 5 %
    assert by_verdict <= 16
    if not luck:  # the test speaks of these models, so it may find the luck of their seeds
        assert sum(one.p_value < 0.05 for one in results) <= 16


@pytest.mark.slow
@pytest.mark.parametrize("luck", [0.0, 0.2])
def test_of_many_equal_heads_hardly_any_is_called_better(
    luck: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five heads make ten pairs: without the correction one is called better far too often."""
    monkeypatch.setattr(paired, "FLIPS", 999)
    source, wrong, uncorrected = generator(17), 0, 0
    for turn in range(80):
        five = heads(5, 300, luck, source, count=5)
        pairs = [
            found(five[one], five[other], luck=turn) for other in range(5) for one in range(other)
        ]
        wrong += any("better" in verdict(pair, p, ("a", "b"))
                     for pair, p in zip(pairs, corrected(pairs), strict=True))  # fmt: skip
        uncorrected += any(pair.p_value < 0.05 for pair in pairs)
    assert wrong <= 8  # 5 % of 80 are 4
    assert uncorrected > wrong + 8
