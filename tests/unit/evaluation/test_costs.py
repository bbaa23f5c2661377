"""What a model costs: memory by hand, latencies that are what they say."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import keras
import pytest

from quickspine.evaluation import costs
from quickspine.evaluation.metrics import Latency
from quickspine.nets.heads.spinal import SpinalHead


def model() -> keras.Model:
    inputs = keras.Input((6, 6, 1), dtype="uint8")
    values = keras.layers.Rescaling(1 / 255)(inputs)
    maps = keras.layers.Conv2D(4, 3)(values)  # 36 in, 64 out
    maps = keras.layers.BatchNormalization()(maps)  # 64 in, 64 out: the most
    features = keras.layers.GlobalAveragePooling2D()(maps)
    return keras.Model(inputs, SpinalHead(3, width=2, sub_layers=2, name="head")(features))


def test_memory_by_hand() -> None:
    head = (2 + 1) * 2 + (2 + 2 + 1) * 2 + (4 + 1) * 3
    weights, activations = costs.memory(model())
    assert weights == 4 * ((9 + 1) * 4 + 4 * 4 + head)  # moving statistics are held too
    assert activations == 4 * (64 + 64)


def test_latency_runs_what_it_times(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ticking(0.001)
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    found = costs.latency(model(), (6, 6, 1), 7, 20)
    assert found.median_ms == pytest.approx(1)
    assert found.p95_ms == pytest.approx(1)


def ticking(step: float) -> Iterator[float]:
    now = 0.0
    while True:
        yield now
        now += step


@pytest.mark.parametrize(
    ("each_s", "repeats", "times"),
    [(0.01, 50, 50), (0.01, 3, 3), (1.0, 50, 10), (0.11, 50, 19)],
)
def test_what_takes_long_is_timed_less_often(
    each_s: float, repeats: int, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, seen = ticking(each_s), []
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    summed_up = costs._summed_up

    def counted(values: Any) -> Latency:
        seen.append(len(values))
        return summed_up(values)

    monkeypatch.setattr(costs, "_summed_up", counted)
    costs.latency(model(), (6, 6, 1), 2, repeats)
    assert seen == [times]


def test_the_95th_percentile_is_above_the_median() -> None:
    found = costs._summed_up([1.0] * 90 + [11.0] * 10)
    assert found.median_ms == 1
    assert found.p95_ms == 11
