"""Learning rates: warm-up, cosine, plateau."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quickspine.params import Params
from quickspine.training.schedules import Cosine, Plateau
from quickspine.training.scratch import schedule

peaks = st.floats(1e-6, 10)


@given(peak=peaks, steps=st.integers(1, 500), warmup=st.integers(0, 600))
def test_cosine_rises_to_its_peak_then_falls(peak: float, steps: int, warmup: int) -> None:
    cosine = Cosine(peak, steps, warmup)
    rates = [cosine.rate(step) for step in range(steps)]
    assert all(0 < rate <= peak * (1 + 1e-12) for rate in rates)
    rising, falling = rates[:warmup], rates[warmup:]
    assert rising == sorted(rising)
    assert falling == sorted(falling, reverse=True)
    if falling:
        assert falling[0] == pytest.approx(peak)
    if warmup and warmup <= steps:
        assert rates[warmup - 1] == pytest.approx(peak)


@given(peak=peaks, warmup=st.integers(0, 20), steps=st.integers(30, 500))
def test_cosine_ends_near_zero_and_halves_in_the_middle(
    peak: float, warmup: int, steps: int
) -> None:
    cosine = Cosine(peak, steps, warmup)
    assert cosine.rate(steps - 1) < 0.03 * peak
    assert cosine.rate(steps) == cosine.rate(steps + 100) == pytest.approx(0, abs=1e-12)
    if (steps - warmup) % 2 == 0:
        assert cosine.rate((steps + warmup) // 2) == pytest.approx(peak / 2)


def test_cosine_ignores_the_validation_loss() -> None:
    cosine = Cosine(0.1, 10)
    before = [cosine.rate(step) for step in range(10)]
    cosine.epoch_ended(math.inf)
    assert [cosine.rate(step) for step in range(10)] == before


@given(step=st.integers(0, 9))
def test_warm_up_is_linear(step: int) -> None:
    for made in (Cosine(0.5, 100, 10), Plateau(0.5, 1, 0.1, 10)):
        assert made.rate(step) == pytest.approx(0.5 * (step + 1) / 10)


def test_plateau_shrinks_after_patience_epochs_without_a_new_best() -> None:
    plateau = Plateau(1.0, patience=2, factor=0.5)
    losses = [5.0, 4.0, 4.0, 4.5, 3.0, 3.1, 2.9, 3.0, 2.9, 2.8]
    rates = []
    for loss in losses:
        plateau.epoch_ended(loss)
        rates.append(plateau.rate(10**6))
    # An equal loss is no better one, and each new best begins the wait anew.
    assert rates == [1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25]


@given(
    losses=st.lists(st.floats(0, 10), max_size=40),
    patience=st.integers(1, 5),
    factor=st.floats(0.1, 0.9),
)
def test_plateau_never_rises_nor_shrinks_more_often_than_it_may(
    losses: list[float], patience: int, factor: float
) -> None:
    plateau = Plateau(1.0, patience, factor)
    rates = [plateau.rate(0)]
    for loss in losses:
        plateau.epoch_ended(loss)
        rates.append(plateau.rate(0))
    assert rates == sorted(rates, reverse=True)
    assert len(set(rates)) - 1 <= len(losses) // patience
    assert rates[-1] >= factor ** (len(losses) // patience) * (1 - 1e-9)


@given(losses=st.lists(st.floats(0, 10), min_size=1, max_size=20, unique=True))
def test_plateau_keeps_the_rate_of_a_loss_that_falls(losses: list[float]) -> None:
    plateau = Plateau(0.3, 1, 0.5)
    for loss in sorted(losses, reverse=True):
        plateau.epoch_ended(loss)
        assert plateau.rate(7) == 0.3


def test_params_choose_the_schedule(make_params: Callable[..., Params]) -> None:
    values = {"train.epochs": 4, "train.learning_rate": 0.2, "train.warmup_epochs": 1.5}
    cosine = schedule(make_params({**values, "train.schedule": "cosine"}).train, steps=10)
    assert cosine == Cosine(0.2, 40, 15)
    plateau = make_params(
        {**values, "train.schedule": "plateau", "train.plateau_patience": 3}
    ).train
    assert schedule(plateau, steps=10) == Plateau(0.2, 3, plateau.plateau_factor, 15)
