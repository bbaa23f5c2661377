from __future__ import annotations

import pytest

from quickspine.bench import limits, training
from quickspine.bench.turns import summary

WORK = {"shapes": [600, 300], "whole": 1000, "bytes": {"float32": 80, "bfloat16": 40}}
MEMORY = {"copy": summary([4000.0]), "add": summary([8000.0])}
PRODUCTS = {
    "8 x 2 x 2": summary([6000.0, 500.0, 700.0]),
    "4 x 2 x 2": summary([1000.0]),
    limits.SQUARE: summary([10_000.0]),
}


def test_images_a_second_if_one_thing_alone_took_time() -> None:
    found = limits.images_a_second(WORK, "bfloat16", MEMORY, PRODUCTS)
    assert found["best product"] == 10
    # 600 at 6000 and 300 at 1000 a second, the other 100 at the best rate.
    assert found["products of its own shapes"] == pytest.approx(1 / (0.1 + 0.3 + 0.01))
    assert found["memory"] == 200
    assert limits.images_a_second(WORK, "float32", MEMORY, PRODUCTS)["memory"] == 100


def test_shares_of_the_limits_of_the_precision_that_was_used() -> None:
    found = {
        "rates": {training.OURS: summary([4.0]), training.EXACT: summary([2.0])},
        "precisions": {training.OURS: "bfloat16", training.EXACT: "float32"},
    }
    allowed = {"float32": {"memory": 10.0}, "bfloat16": {"memory": 16.0}}
    reached = limits.reached(found, allowed)
    assert reached[training.OURS]["shares"] == {"memory": 0.25}
    assert reached[training.EXACT]["shares"] == {"memory": 0.2}
    assert limits.reached(None, allowed) == {}
