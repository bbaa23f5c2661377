from __future__ import annotations

import re
from typing import Any

import pytest

from quickspine.evaluation import summary
from quickspine.params import Evaluate
from tests.unit.evaluation.made import summary as of


def test_the_words_hold_every_model_and_every_verdict(make: Any, evaluate: Evaluate) -> None:
    case = make(spinal=0.99)
    metrics = of(case, evaluate)
    first, *rest = summary.describe(metrics).splitlines()
    assert first == (
        "doodles (synthetic drawings), 4 categories: 800 train, 100 validation, 100 test"
    )
    for line, (name, model) in zip(rest, metrics["models"].items(), strict=False):
        assert line.split()[:2] == [name, f"{model['accuracy']['mean']:.2%}"]
        assert "of 3 seeds" in line
        assert f"(head {model['head_parameters']:,})" in line
    assert len(rest) == len(metrics["models"]) + 2
    for line, (stage, found) in zip(rest[-2:], metrics["comparisons"].items(), strict=True):
        assert line.startswith(f"  {stage}: spinal - dense +")
        assert line.endswith(found["verdict"])
    real = of(make(seeds=(4,), synthetic=False), evaluate)
    words = summary.describe(real)
    assert words.startswith("quickdraw, 4 categories: ")
    assert words.count("of one seed") == len(real["models"])
    assert "±" not in words


def test_numbers_for_the_tracker_are_flat(make: Any, evaluate: Evaluate) -> None:
    metrics = of(make(stages=("train",), heads=("dense", "spinal", "linear")), evaluate)
    found = summary.flat(metrics)
    names = ["train", *(f"train.{pair}" for pair in ("spinal-dense", "spinal-linear"))]
    names += ["train.dense-linear"]
    of_pair = ("accuracy_difference", "ci95_low", "ci95_high", "p_value", "p_holm")
    of_model = ("accuracy", "loss")
    assert set(found) == {
        *(f"{name}.{key}" for name in names for key in of_pair),
        *(f"train-{head}.test_{key}" for head in ("dense", "spinal", "linear") for key in of_model),
        *(f"train-{head}.{key}" for head in ("dense", "spinal", "linear")
          for key in ("calibration_error", "validation_accuracy", "latency_ms")),
    }  # fmt: skip
    pair = metrics["pairs"]["train"]["spinal-linear"]
    assert [found["train.spinal-linear.ci95_low"], found["train.spinal-linear.ci95_high"]] == [
        *pair["ci95"]
    ]
    assert found["train-dense.test_loss"] == metrics["models"]["train-dense"]["loss"]["mean"]
    assert all(re.fullmatch(r"[/\w.\- :]+", name) for name in found)  # what MLflow takes


def test_what_dvc_compares_is_short(make: Any, evaluate: Evaluate) -> None:
    case = make(spinal=0.99)
    metrics = of(case, evaluate)
    found = summary.short(metrics)
    assert list(found) == ["train", "finetune"]
    for stage, numbers in found.items():
        comparison = metrics["comparisons"][stage]
        expected = {}
        for head in ("dense", "spinal"):
            model = metrics["models"][f"{stage}-{head}"]
            expected[head] = round(model["accuracy"]["mean"], 5)
            expected[f"{head}_validation"] = round(model["validation_accuracy"]["mean"], 5)
        expected["difference"] = round(comparison["accuracy_difference"], 5)
        expected["p_holm"] = float(f"{comparison['p_holm']:.3g}")
        assert numbers == expected


def test_no_difference_has_no_sign() -> None:
    model = {"accuracy": {"mean": 0.9123456}, "validation_accuracy": {"mean": 0.9}}
    found = summary.short(
        {
            "models": {"train-dense": model, "train-spinal": model},
            "comparisons": {"train": {"accuracy_difference": -1e-9, "p_holm": 1.23456e-7}},
        }
    )
    assert str(found["train"]["difference"]) == "0.0"
    assert found["train"]["p_holm"] == 1.23e-7


def test_stages_heads_and_the_pair_that_charts_compare(make: Any, evaluate: Evaluate) -> None:
    def with_heads(*heads: str) -> dict[str, Any]:
        return of(make(heads=heads, stages=("train",), seeds=(1,)), evaluate)

    metrics = with_heads("dense", "linear", "spinal")
    assert summary.stages(metrics) == ["train"]
    assert list(summary.heads(metrics, "train")) == ["dense", "linear", "spinal"]
    assert summary.main_pairs(metrics) == {"train": ("spinal", "dense")}
    assert summary.main_pairs(with_heads("linear", "dense")) == {"train": ("dense", "linear")}
    alone = with_heads("dense")
    assert summary.main_pairs(alone) == {"train": None}
    assert list(summary.short(alone)["train"]) == ["dense", "dense_validation"]


@pytest.mark.parametrize(
    ("verdict", "significant"),
    [
        ("spinal better", True),
        ("dense better (one seed: this says nothing about other seeds)", True),
        ("no significant difference (95 % CI -1.00 to +2.00 points)", False),
    ],
)
def test_significant_verdicts(verdict: str, significant: bool) -> None:
    assert summary.is_significant({"verdict": verdict}) == significant


def test_a_training_gets_the_numbers_of_its_own_seed(make: Any, evaluate: Evaluate) -> None:
    case = make(seeds=(3, 1, 2))  # evaluated in another order than params.yaml lists
    metrics = of(case, evaluate)
    whole = metrics["models"]["train-spinal"]
    assert len(set(whole["accuracy"]["runs"])) == 3
    for position, seed in enumerate((3, 1, 2)):
        assert summary.of_seed(metrics, "train-spinal", seed) == {
            "test_accuracy": whole["accuracy"]["runs"][position],
            "test_top2_accuracy": whole["top2_accuracy"]["runs"][position],
            "test_loss": whole["loss"]["runs"][position],
            "test_calibration_error": whole["calibration_error"]["runs"][position],
        }
