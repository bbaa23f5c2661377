from __future__ import annotations

from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quickspine.bench.turns import CannotRunError, Contestant, in_turn, ratio, summary

rates = st.floats(1e-3, 1e9)
series = st.integers(1, 9).flatmap(
    lambda rounds: st.tuples(*[st.lists(rates, min_size=rounds, max_size=rounds)] * 2)
)


def contestants(log: list[str], names: str) -> list[Contestant]:
    def run(name: str) -> float:
        log.append(name)
        return float(len(log))

    return [Contestant(name, lambda name=name: run(name)) for name in names]  # type: ignore[misc]


@given(st.integers(1, 6), st.integers(1, 9))
def test_each_round_meets_everybody_and_begins_with_the_next(count: int, rounds: int) -> None:
    log: list[str] = []
    names = "abcdef"[:count]
    found = in_turn(contestants(log, names), rounds, "test")
    by_round = ["".join(log[n * count : (n + 1) * count]) for n in range(rounds)]
    assert len(log) == count * rounds
    for number, order in enumerate(by_round):
        first = number % count
        assert order == names[first:] + names[:first]
    # Rates stand in the order of the rounds, whoever began.
    assert found.rates == {
        name: [float(n + 1) for n, who in enumerate(log) if who == name] for name in names
    }


def test_who_cannot_run_is_left_out_with_all_rounds(capsys: pytest.CaptureFixture[str]) -> None:
    log: list[str] = []

    def fails() -> float:
        log.append("x")
        if log.count("x") == 2:
            raise CannotRunError("no wheel for this machine")
        return 1.0

    both = [*contestants(log, "a"), Contestant("x", fails), *contestants(log, "b")]
    found = in_turn(both, 3, "test")
    assert found.skipped == {"x": "no wheel for this machine"}
    assert {name: len(rounds) for name, rounds in found.rates.items()} == {"a": 3, "b": 3}
    assert log.count("x") == 2
    assert found.told()["skipped"] == found.skipped
    told = capsys.readouterr().err
    assert "bench: test: x is skipped: no wheel for this machine" in told
    assert "bench: test: round 3 of 3, a" in told


@given(series)
def test_ratio_and_summary(both: tuple[list[float], list[float]]) -> None:
    ours, theirs = both
    found, told = ratio(ours, theirs), summary(ours)
    assert found["ratio"] == median(ours) / median(theirs)
    each = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    assert (found["slowest"], found["fastest"]) == (min(each), max(each))
    assert told == {
        "median": median(ours),
        "slowest": min(ours),
        "fastest": max(ours),
        "rounds": ours,
    }


@given(series)
def test_whoever_is_twice_as_fast_is_so_by_every_number(
    both: tuple[list[float], list[float]],
) -> None:
    theirs = both[0]
    assert ratio([2 * rate for rate in theirs], theirs) == {
        "ratio": 2.0,
        "slowest": 2.0,
        "fastest": 2.0,
    }


def test_series_of_other_lengths_are_not_compared() -> None:
    with pytest.raises(ValueError, match="zip"):
        ratio([1.0, 2.0], [1.0])
