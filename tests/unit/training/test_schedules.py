"""Learning rates: warm-up, constant, cosine, step, plateau, random restart."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quickspine.dataset.records.seeds import derive
from quickspine.params import Params
from quickspine.training.schedules import (
    Constant,
    Cosine,
    Plateau,
    RandomRestart,
    Schedule,
    StepDecay,
    make_schedule,
)

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


@given(step=st.integers(0, 9))
def test_warm_up_is_linear(step: int) -> None:
    for made in (
        Constant(0.5, 10),
        Cosine(0.5, 100, 10),
        Plateau(0.5, 1, 0.1, 10),
        RandomRestart(0.5, 1, "train", 10),
        StepDecay(0.5, 20, 0.1, 10),
    ):
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


@given(peak=peaks, warmup=st.integers(0, 30), every=st.integers(1, 50), step=st.integers(0, 400))
def test_stairs_fall_by_their_factor_and_constant_stays(
    peak: float, warmup: int, every: int, step: int
) -> None:
    stairs, constant = StepDecay(peak, every, 0.1, warmup), Constant(peak, warmup)
    risen = min(1.0, (step + 1) / warmup) if warmup else 1.0
    assert constant.rate(step) == pytest.approx(peak * risen)
    fallen = 0.1 ** (max(step, warmup if step < warmup else 0) // every)
    assert stairs.rate(step) == pytest.approx(peak * risen * fallen)


losses_of_epochs = st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5]), min_size=1, max_size=30)


@given(losses=losses_of_epochs, seed=st.integers(0, 2**31 - 1), stop=st.integers(0, 30))
def test_restart_draws_anew_after_each_epoch_without_a_lower_loss(
    losses: list[float], seed: int, stop: int
) -> None:
    """Also when it was killed after some epoch, and its state went through a checkpoint."""
    restart = RandomRestart(2.0, seed, "blocks", warmup=3)
    lowest, expected = math.inf, 2.0
    for epoch, loss in enumerate(losses):
        if epoch == stop:
            state = json.loads(json.dumps(restart.state()))
            restart = RandomRestart(2.0, seed, "blocks", warmup=3)
            restart.restore(state)
        assert restart.rate(0) == pytest.approx(expected / 3)
        restart.epoch_ended(loss)
        if loss >= lowest:
            expected = 2.0 * ((derive(seed, "restart", "blocks", epoch) + 0.5) / 2**31) ** 3
        lowest = min(lowest, loss)
        assert restart.rate(3) == restart.rate(1000) == pytest.approx(expected, rel=1e-12)
        assert 0 < restart.rate(3) <= 2.0


@pytest.mark.parametrize("section", ["train", "finetune"])
def test_params_choose_the_schedule(make_params: Callable[..., Params], section: str) -> None:
    def made(name: str, **more: Any) -> Schedule:
        values = {"schedule": name, "warmup_epochs": 1.5, **more}
        params = make_params({f"{section}.{key}": value for key, value in values.items()})
        own = getattr(params, section)
        return make_schedule(own, "blocks", 0.2, steps=10, epochs=4, seed=6)

    assert made("constant") == Constant(0.2, 15)
    assert made("cosine") == Cosine(0.2, 40, 15)
    assert made("step", step_epochs=2, step_factor=0.5) == StepDecay(0.2, 20, 0.5, 15)
    plateau = made("plateau", plateau_patience=3, plateau_factor=0.4)
    assert plateau == Plateau(0.2, 3, 0.4, 15)
    assert made("random_restart") == made("restart") == RandomRestart(0.2, 6, "blocks", 15)
