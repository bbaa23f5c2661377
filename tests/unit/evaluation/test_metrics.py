from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from sklearn import metrics as reference

from quickspine.errors import InputError
from quickspine.evaluation import metrics
from quickspine.evaluation.statistics.intervals import wilson
from tests.unit.evaluation.answers import logits_and_labels, run_of

LOGITS = np.array([[2, 1, 0], [0, 3, 1], [1, 0, 5], [4, 0, 1]], np.float32)
LABELS = np.array([0, 1, 1, 2])


def test_by_hand() -> None:
    assert metrics.correct(LOGITS, LABELS).tolist() == [True, True, False, False]
    assert metrics.top_k_accuracy(LOGITS, LABELS, 2) == 0.75
    assert metrics.confusion(LOGITS, LABELS).tolist() == [[1, 0, 0], [0, 1, 1], [1, 0, 0]]
    assert metrics.loss(np.zeros((5, 4), np.float32), np.arange(5) % 4) == pytest.approx(np.log(4))


def test_loss_neither_overflows_nor_rounds_small_losses_away() -> None:
    logits = np.array([[1e4, -1e4], [30, 0]], np.float32)
    assert metrics.loss(logits, np.array([1, 0])) == pytest.approx(1e4)
    assert metrics.loss(logits[1:], np.array([0])) == pytest.approx(np.exp(-30), rel=0.05)


def test_of_equal_logits_the_first_counts() -> None:
    logits = np.ones((3, 3), np.float32)
    labels = np.arange(3)
    assert metrics.correct(logits, labels).tolist() == [True, False, False]
    found = [metrics.top_k_accuracy(logits, labels, k) for k in (1, 2, 3, 9)]
    assert found == pytest.approx([1 / 3, 2 / 3, 1, 1])


@given(logits_and_labels())
def test_as_scikit_learn(case: tuple[Any, Any]) -> None:
    logits, labels = case
    classes = logits.shape[1]
    names, answered = range(classes), logits.argmax(1)
    right = metrics.correct(logits, labels).mean()
    assert right == pytest.approx(reference.accuracy_score(labels, answered))
    matrix = metrics.confusion(logits, labels)
    assert (matrix == reference.confusion_matrix(labels, answered, labels=names)).all()
    if classes > 2:
        for k in range(1, classes):
            want = reference.top_k_accuracy_score(labels, logits, k=k, labels=names)
            assert metrics.top_k_accuracy(logits, labels, k) == pytest.approx(want)
    recall = reference.recall_score(
        labels, answered, labels=names, average=None, zero_division=np.nan
    )
    found = metrics.ratio(np.diagonal(matrix), matrix.sum(axis=1))
    np.testing.assert_allclose(found, recall)


@pytest.mark.parametrize("rows", [4096, 7])
def test_loss_as_scikit_learn(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "ROWS", rows)
    generator = np.random.default_rng(0)
    logits, labels = generator.normal(size=(50, 6)), generator.integers(0, 6, 50)
    odds = np.exp(logits)
    want = reference.log_loss(labels, odds / odds.sum(1, keepdims=True), labels=range(6))
    assert metrics.loss(logits, labels) == pytest.approx(want)


def test_a_diverged_run_is_named() -> None:
    logits = np.array([[0, np.nan]], np.float32)
    with pytest.raises(InputError, match=r"models/train-dense-7.*train\.learning_rate"):
        run_of("train", "dense", 7, logits)


def test_per_category_by_hand() -> None:
    labels = np.array([0, 0, 1])
    right = np.array([[9, 0, 0], [9, 0, 0], [0, 9, 0]], np.float32)
    wrong = np.array([[9, 0, 0], [0, 9, 0], [9, 0, 0]], np.float32)
    runs = [run_of("train", "dense", seed, x) for seed, x in enumerate((right, wrong))]
    found = metrics.per_category(runs, labels)
    assert found.images.tolist() == [2, 1, 0]
    assert found.accuracy[:2].tolist() == [0.75, 0.5]
    assert np.isnan([found.accuracy[2], found.low[2], found.high[2]]).all()
    for label, count in enumerate((2, 1)):
        expected = wilson(found.accuracy[label] * count, count)
        assert (found.low[label], found.high[label]) == pytest.approx(expected)
    # Seeds do not count as more images.
    twice = metrics.per_category(runs * 2, labels)
    np.testing.assert_allclose(twice.low, found.low)
