from __future__ import annotations

from typing import Any

from quickspine.evaluation import summary
from quickspine.evaluation.comparison import summarise
from quickspine.params import Evaluate


def test_the_words_hold_every_model_and_every_verdict(make: Any, evaluate: Evaluate) -> None:
    case = make(spinal=0.99)
    metrics = summarise(case.runs, case.labels, case.categories, case.data, evaluate)
    first, *rest = summary.words(metrics).splitlines()
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


def test_real_drawings_are_not_called_synthetic(make: Any, evaluate: Evaluate) -> None:
    case = make(synthetic=False)
    metrics = summarise(case.runs, case.labels, case.categories, case.data, evaluate)
    assert summary.words(metrics).startswith("quickdraw, 4 categories: ")


def test_numbers_for_the_tracker_are_flat(make: Any, evaluate: Evaluate) -> None:
    case = make(stages=("train",))
    metrics = summarise(case.runs, case.labels, case.categories, case.data, evaluate)
    dense, spinal = (metrics["models"][f"train-{head}"] for head in ("dense", "spinal"))
    assert summary.flat(metrics) == {
        "train-dense.test_accuracy": dense["accuracy"]["mean"],
        "train-dense.latency_ms": dense["latency_ms"],
        "train-spinal.test_accuracy": spinal["accuracy"]["mean"],
        "train-spinal.latency_ms": spinal["latency_ms"],
        "train.accuracy_difference": metrics["comparisons"]["train"]["accuracy_difference"],
        "train.p_value": metrics["comparisons"]["train"]["p_value"],
    }
