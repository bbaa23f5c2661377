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


def test_what_dvc_compares_is_short(make: Any, evaluate: Evaluate) -> None:
    case = make(spinal=0.99)
    metrics = summarise(case.runs, case.labels, case.categories, case.data, evaluate)
    found = summary.short(metrics)
    assert list(found) == ["train", "finetune"]
    for stage, numbers in found.items():
        models, comparison = metrics["models"], metrics["comparisons"][stage]
        heads = ("dense", "spinal")
        means = {head: models[f"{stage}-{head}"]["accuracy"]["mean"] for head in heads}
        assert {head: numbers.pop(head) for head in heads} == {
            head: round(mean, 5) for head, mean in means.items()
        }
        assert numbers.pop("difference") == round(comparison["accuracy_difference"], 5)
        (p_value,) = numbers.values()
        assert p_value == float(f"{comparison.get('p_holm', comparison['p_value']):.3g}")


def test_p_values_are_named_as_what_they_are() -> None:
    def of(**p_values: float) -> dict[str, float]:
        model = {"accuracy": {"mean": 0.9123456}}
        return summary.short(
            {
                "models": {"train-dense": model, "train-spinal": model},
                "comparisons": {"train": {"accuracy_difference": -1e-9, **p_values}},
            }
        )["train"]

    same = {"dense": 0.91235, "spinal": 0.91235, "difference": 0.0}
    assert of(p_value=1.23456e-7) == {**same, "p_value": 1.23e-7}
    assert of(p_value=0.04, p_holm=0.123456) == {**same, "p_holm": 0.123}


def test_a_head_alone_has_its_accuracy_only(make: Any, evaluate: Evaluate) -> None:
    case = make(stages=("train",), heads=("linear",))
    metrics = summarise(case.runs, case.labels, case.categories, case.data, evaluate)
    mean = metrics["models"]["train-linear"]["accuracy"]["mean"]
    assert summary.short(metrics) == {"train": {"linear": round(mean, 5)}}
