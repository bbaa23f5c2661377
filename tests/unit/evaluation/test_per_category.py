from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quickspine.evaluation.per_category import per_category, wilson_of_mean
from quickspine.evaluation.statistics import wilson
from tests.unit.evaluation.answers import run_of


def test_by_hand() -> None:
    labels = np.array([0, 0, 1])
    right = np.array([[9, 0, 0], [9, 0, 0], [0, 9, 0]], np.float32)
    wrong = np.array([[9, 0, 0], [0, 9, 0], [9, 0, 0]], np.float32)
    runs = [run_of("train", "dense", s, x) for s, x in enumerate((right, wrong))]
    found = per_category(runs, labels)
    assert found.drawings.tolist() == [2, 1, 0]
    assert found.accuracy[:2].tolist() == [0.75, 0.5]
    assert np.isnan([found.accuracy[2], found.low[2], found.high[2]]).all()
    assert (found.low[:2] < found.accuracy[:2]).all()
    assert (found.high[:2] > found.accuracy[:2]).all()


@given(st.integers(1, 3000), st.data())
def test_as_wilson_where_it_is_a_whole_number(total: int, data: Any) -> None:
    right = data.draw(st.integers(0, total))
    low, high = wilson_of_mean(np.array([right / total]), np.array([total]))
    assert (low[0], high[0]) == pytest.approx(wilson(right, total), abs=1e-9)


@given(st.floats(0, 1), st.integers(1, 3000), st.sampled_from([0.5, 0.8, 0.95, 0.99]))
def test_it_holds_the_share_and_stays_between_0_and_1(
    share: float, total: int, confidence: float
) -> None:
    low, high = wilson_of_mean(np.array([share]), np.array([total]), confidence)
    assert 0 <= low[0] <= share + 1e-12
    assert share - 1e-12 <= high[0] <= 1
    wider = wilson_of_mean(np.array([share]), np.array([total]), 0.999)
    assert wider[0][0] <= low[0] + 1e-12
    assert wider[1][0] >= high[0] - 1e-12


def test_seeds_do_not_count_as_more_drawings(make: Any) -> None:
    case = make(seeds=(1,), stages=("train",), heads=("dense",))
    one = per_category(case.runs, case.labels)
    two = per_category(case.runs * 2, case.labels)
    assert two.drawings.tolist() == one.drawings.tolist()
    np.testing.assert_allclose(two.low, one.low)
    np.testing.assert_allclose(two.high, one.high)
