"""Paired tests against textbook tables, and against counting every possibility."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from quickspine.evaluation.statistics import paired
from quickspine.evaluation.statistics.paired import McNemar, holm, mcnemar, p_value
from tests.unit.evaluation.answers import generator


def differences(better: int, worse: int, alike: int = 30) -> np.ndarray:
    return np.array([1] * better + [-1] * worse + [0] * alike, np.int8)


@pytest.mark.parametrize(
    ("better", "worse", "p"),
    [
        # Agresti, Categorical Data Analysis: approval of the prime minister asked twice, 86 and
        # 150 changed their minds; the exact p-value is that of R's exact2x2.
        (86, 150, 3.716e-05),
        (150, 86, 3.716e-05),
        (9, 2, 67 * 2 / 2**11),  # 1 + 11 + 55 of 2¹¹ outcomes, either way
        (0, 5, 2 / 2**5),
        (4, 4, 1.0),
    ],
)
def test_mcnemar_of_the_textbooks(better: int, worse: int, p: float) -> None:
    found = mcnemar(differences(better, worse))
    assert (found.better, found.worse) == (better, worse)
    assert found.p_value == pytest.approx(p, rel=1e-3)


def test_heads_that_always_agree_are_no_evidence() -> None:
    assert mcnemar(differences(0, 0)) == McNemar(0, 0, 1.0)
    assert p_value(np.zeros((1, 5), np.int8), generator()) == 1
    assert p_value(np.zeros((3, 5), np.int8), generator()) == 1


def test_one_seed_is_mcnemars_exact_test() -> None:
    table = differences(9, 2)
    assert p_value(table[None], generator()) == mcnemar(table).p_value


def test_several_seeds_are_flipped_together() -> None:
    # Three seeds that agree hold no more evidence than one: the p-value is that of one.
    one = differences(9, 2)[None]
    want = stats.binomtest(9, 11).pvalue
    assert p_value(np.repeat(one, 3, axis=0), generator()) == pytest.approx(want, abs=0.006)


def test_the_flips_match_counting_all_of_them() -> None:
    table = np.array([[1, 1, 0, -1, 1, 1], [1, 0, 0, 1, 1, 0]], np.int8)
    sums = table.sum(0)
    signs = np.array(np.meshgrid(*[[-1, 1]] * len(sums))).reshape(len(sums), -1)
    want = (abs(sums @ signs) >= abs(sums.sum())).mean()
    assert p_value(table, generator()) == pytest.approx(want, abs=0.006)


def test_never_a_p_value_of_zero() -> None:
    assert p_value(np.ones((2, 500), np.int8), generator()) == 1 / (paired.FLIPS + 1)


def test_seeds_that_share_drawings_are_not_independent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Why McNemar's p-values are not multiplied up: a shared quirk would count once a seed."""
    monkeypatch.setattr(paired, "FLIPS", 999)
    source, together, as_independent = generator(11), 0, 0
    for _ in range(150):
        # Two equal heads; which of them finds an image easier is the image's, not the seed's.
        taste = source.normal(0, 1.5, (2, 1, 300))
        right = source.normal(1, 1, 300) + taste + source.normal(0, 0.2, (2, 8, 300)) > 0
        table = right[0].astype(np.int8) - right[1].astype(np.int8)
        together += p_value(table, source) < 0.05
        each = [mcnemar(seed).p_value for seed in table]
        as_independent += stats.combine_pvalues(each, method="fisher").pvalue < 0.05
    assert together <= 14  # 5 % of 150 are 7.5
    assert as_independent >= 18  # more than twice as often as the level allows


@pytest.mark.parametrize(
    ("given_p", "adjusted"),
    [
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),  # R: p.adjust(…, "holm")
        ([0.5, 0.9], [1.0, 1.0]),
        ([0.02], [0.02]),
        ([], []),
    ],
)
def test_holm_by_hand(given_p: list[float], adjusted: list[float]) -> None:
    assert holm(given_p) == pytest.approx(adjusted)
