from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quickspine.evaluation import calibration
from quickspine.evaluation.calibration import expected_calibration_error, reliability
from tests.unit.evaluation.answers import logits_and_labels

# Probabilities whose logarithms are logits: confidences .9, .8, .6, .6, answers 0, 0, 1, 1.
ODDS = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.4, 0.6]])
LABELS = np.array([0, 1, 1, 0])


def test_by_hand() -> None:
    found = reliability(np.log(ODDS), LABELS, bins=4)  # up to .25, .5, .75 and 1
    assert found.counts.tolist() == [0, 0, 2, 2]
    assert found.right.tolist() == [0, 0, 1, 1]
    np.testing.assert_allclose(found.confidence, [np.nan, np.nan, 0.6, 0.85])
    np.testing.assert_allclose(found.accuracy, [np.nan, np.nan, 0.5, 0.5])
    # Half of the drawings are 0.1 off, half 0.35.
    assert found.error == pytest.approx(0.5 * 0.1 + 0.5 * 0.35)
    assert (found + found).counts.tolist() == [0, 0, 4, 4]
    assert (found + found).error == pytest.approx(found.error)
    assert expected_calibration_error(np.log(ODDS), LABELS, bins=4) == found.error
    # In 15 bins each confidence but .6 has its own: |.6 - .5| twice, |.9 - 1| and |.8 - 0|.
    assert expected_calibration_error(np.log(ODDS), LABELS) == pytest.approx(
        (2 * 0.1 + 0.1 + 0.8) / 4
    )


def test_an_edge_belongs_to_the_bin_below_it() -> None:
    even = np.zeros((1, 2), np.float32)  # a confidence of one half, exactly
    assert reliability(even, np.array([0]), bins=2).counts.tolist() == [1, 0]
    sure = np.array([[1e4, -1e4]], np.float32)  # of 1, exactly
    assert reliability(sure, np.array([0]), bins=2).counts.tolist() == [0, 1]


def test_sure_and_wrong_is_the_worst_sure_and_right_the_best() -> None:
    sure = np.array([[1e30, -1e30, 0]] * 3, np.float32)
    assert expected_calibration_error(sure, np.array([1, 1, 2])) == 1
    assert expected_calibration_error(sure, np.array([0, 0, 0])) == 0


@given(logits_and_labels(), st.integers(1, 20))
def test_as_written_out(case: tuple[Any, Any], bins: int) -> None:
    logits, labels = case
    wide = logits.astype(np.float64)
    odds = np.exp(wide - wide.max(axis=1, keepdims=True))
    sure = (odds / odds.sum(axis=1, keepdims=True)).max(axis=1)
    total = 0.0
    for number in range(bins):
        inside = (sure > number / bins) & (sure <= (number + 1) / bins)
        if inside.any():
            right = (logits.argmax(1) == labels)[inside]
            total += inside.sum() * abs(right.mean() - sure[inside].mean())
    assert expected_calibration_error(logits, labels, bins) == pytest.approx(total / len(labels))


def test_rows_are_widened_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
    labels = np.arange(50) % 6
    whole = reliability(logits, labels)
    monkeypatch.setattr(calibration, "ROWS", 7)
    part = reliability(logits, labels)
    assert part.counts.tolist() == whole.counts.tolist()
    assert part.confidences.tolist() == whole.confidences.tolist()
