from __future__ import annotations

from typing import Any

import pytest

from quickspine.evaluation import pairing
from quickspine.params import Evaluate
from tests.unit.evaluation.made import summary


def test_stages_heads_and_their_pair(make: Any, evaluate: Evaluate) -> None:
    metrics = summary(make(heads=("dense", "linear", "spinal")), evaluate)
    assert pairing.stages(metrics) == ["train", "finetune"]
    assert list(pairing.heads(metrics, "train")) == ["dense", "linear", "spinal"]
    assert pairing.heads(metrics, "train")["linear"] is metrics["models"]["train-linear"]
    assert pairing.main_pairs(metrics) == {
        "train": ("spinal", "dense"), "finetune": ("spinal", "dense"),
    }  # fmt: skip


def test_without_both_the_first_pair_and_of_one_head_none(make: Any, evaluate: Evaluate) -> None:
    metrics = summary(make(heads=("linear", "dense"), stages=("train",)), evaluate)
    assert pairing.main_pair(metrics, "train") == ("dense", "linear")
    metrics = summary(make(heads=("dense",), stages=("train",)), evaluate)
    assert pairing.main_pair(metrics, "train") is None


@pytest.mark.parametrize(
    ("verdict", "open_"),
    [
        ("spinal better", False),
        ("dense better (one seed: this says nothing about other seeds)", False),
        ("no difference larger than 1.3 points can be claimed", True),
    ],
)
def test_open_verdicts(verdict: str, open_: bool) -> None:
    assert pairing.is_open(("spinal", "dense"), {"verdict": verdict}) == open_
