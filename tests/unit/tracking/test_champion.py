"""The rule by which the alias champion moves: by more than a standard error, never otherwise."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from quickspine.tracking.champion import (
    CHALLENGER,
    CHAMPION,
    Candidate,
    choose,
    decide,
    margin,
    registered_name,
)

N = st.integers(1, 100_000)


@st.composite
def measured(draw: st.DrawFn) -> tuple[float, float, int]:
    """Accuracies of a candidate and of a champion on the same drawings, and how many these are."""
    n = draw(N)
    return draw(st.integers(0, n)) / n, draw(st.integers(0, n)) / n, n


def lead(candidate: float, champion: float, n: int) -> Fraction:
    """The squared difference less the squared margin, exactly; above 0: more than the margin."""
    p, q = Fraction(candidate), Fraction(champion)
    return (p - q) ** 2 - (p * (1 - p) + q * (1 - q)) / n


@given(measured())
def test_it_moves_for_more_than_one_standard_error_and_for_nothing_less(
    case: tuple[float, float, int],
) -> None:
    candidate, champion, n = case
    exact = lead(candidate, champion, n)
    assume(exact == 0 or abs(exact) > Fraction(1, 10**12))  # rounding decides between
    assume(not (exact == 0 and candidate > champion))
    moves = candidate > champion and exact > 0
    assert decide(candidate, champion, n).alias == (CHAMPION if moves else CHALLENGER)


@given(st.floats(0, 1), N)
def test_the_first_is_champion(accuracy: float, n: int) -> None:
    decision = decide(accuracy, None, n)
    assert decision.alias == CHAMPION
    assert f"{n} validation images" in decision.reason


def test_a_worked_example() -> None:
    # sqrt((0.92 * 0.08 + 0.9 * 0.1) / 400) = 0.0202237: by 0.02 it stays, by 0.0225 it moves
    assert margin(0.92, 0.9, 400) == pytest.approx(0.0202237, abs=1e-6)
    assert decide(0.92, 0.9, 400).alias == CHALLENGER
    decision = decide(0.9225, 0.9, 400)
    assert decision.alias == CHAMPION
    assert decision.reason == (
        "92.25 % right against the champion's 90.00 %: +2.25 points, more than one standard error "
        "of the difference, 2.01 points, on 400 validation images"
    )
    assert "+2.00 points, not more than one standard error" in decide(0.92, 0.9, 400).reason


def candidate(**changes: object) -> Candidate:
    facts: dict[str, object] = {
        "stage": "train",
        "head": "dense",
        "seed": 1,
        "model_digest": "m" * 64,
        "params_digest": "p" * 64,
        "accuracy": 0.9,
        "loss": 0.5,
    }
    return Candidate(**{**facts, **changes})  # type: ignore[arg-type] # any of the fields


def test_the_best_on_validation_is_chosen_then_by_loss_then_by_name() -> None:
    best = candidate(stage="finetune", accuracy=0.95, loss=9.0)
    assert choose([candidate(), best, candidate(head="spinal")]) is best
    lower = candidate(head="spinal", loss=0.4)
    assert choose([candidate(), lower]) is lower
    first = candidate()
    assert choose([candidate(seed=2), candidate(head="spinal"), first]) is first


@given(st.text(min_size=1, max_size=200))
def test_any_experiment_gives_a_name_that_mlflow_and_its_uris_take(experiment: str) -> None:
    name = registered_name(experiment, "doodles", "abcdef0123456789")
    assert re.fullmatch(r"[\w-]+-doodles-abcdef01", name)
    assert len(name) <= 256  # the column of the SQL stores


def test_a_plain_experiment_keeps_its_name() -> None:
    assert registered_name("quickspine", "quickdraw", "0" * 64) == "quickspine-quickdraw-00000000"
    assert registered_name("team/a: b'c", "doodles", "1" * 64) == "team-a-b-c-doodles-11111111"
    assert registered_name("..", "doodles", "1" * 64) == "experiment-doodles-11111111"
