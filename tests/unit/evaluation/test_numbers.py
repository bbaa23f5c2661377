from __future__ import annotations

import pytest

from quickspine.evaluation import numbers
from quickspine.evaluation.numbers import MINUS, SPACE


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.03125, "p = 0.031"), (1.0, "p = 1"), (2e-5, "p < 0.0001"), (1e-4, "p = 0.0001")],
)
def test_p_values_are_readable(value: float, words: str) -> None:
    assert numbers.p(value).replace(SPACE, " ") == words


def test_differences_have_a_sign_and_zero_is_not_negative() -> None:
    assert numbers.points(0.00251) == "+0.25"
    assert numbers.points(-0.0125) == f"{MINUS}1.25"
    assert numbers.points(-0.000001) == numbers.points(0) == "+0.00"
    assert numbers.signed(-3.14) == f"{MINUS}3.1"
    assert numbers.signed(-0.01) == "0.0"


def test_one_seed_has_no_spread() -> None:
    found = {"mean": 0.9761, "std": 0.0012, "runs": [0.9761]}
    assert numbers.spread(found) == "97.61"
    assert numbers.spread({**found, "runs": [0.975, 0.9772]}) == "97.61 ± 0.12"


def test_the_rest() -> None:
    assert numbers.count(1234567) == "1,234,567"
    assert numbers.interval([0.971, 0.98]) == "97.10 to 98.00"
    assert numbers.mebibytes(3 << 19) == "1.50"
    assert numbers.time(1234.567) == "1,234.57"
    assert numbers.several(1, "seed") == "one seed"
    assert numbers.several(3, "seed") == "3 seeds"
    assert numbers.several(2, "category", "categories") == "2 categories"
