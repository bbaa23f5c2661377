from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from quickspine.errors import WrongInputError
from quickspine.evaluation import metrics
from quickspine.evaluation.comparison import summarise
from quickspine.params import Evaluate


def summary(case: Any, evaluate: Evaluate) -> dict[str, Any]:
    return summarise(case.runs, case.labels, case.categories, case.data, evaluate)


def test_the_contract(make: Any, evaluate: Evaluate) -> None:
    case = make()
    found = summary(case, evaluate)
    assert found["data"]["source"] == "doodles"
    assert found["data"]["synthetic"] is True
    assert found["data"]["categories"] == case.categories
    assert [found["data"][key] for key in ("train", "validation", "test")] == [800, 100, 100]
    assert list(found["models"]) == [
        "train-dense", "train-spinal", "finetune-dense", "finetune-spinal",
    ]  # fmt: skip
    model = found["models"]["train-spinal"]
    assert model["seeds"] == [1, 2, 3]
    assert model["head_parameters"] == 7850
    assert model["parameters"] == 207_850
    assert model["latency_ms"] == 3.2
    for stage in ("train", "finetune"):
        comparison = found["comparisons"][stage]
        assert set(comparison) == {
            "accuracy_difference", "ci95", "p_value", "error_reduction", "verdict", "seeds",
            "resampled",
        }  # fmt: skip
        dense, spinal = (
            found["models"][f"{stage}-{head}"]["accuracy"]["mean"] for head in ("dense", "spinal")
        )
        difference = comparison["accuracy_difference"]
        assert difference == pytest.approx(spinal - dense, abs=2e-6)
        assert comparison["error_reduction"] == pytest.approx(
            100 * difference / (1 - dense), abs=0.01
        )
        assert comparison["ci95"][0] <= difference <= comparison["ci95"][1]


def test_measures_are_those_of_the_runs(make: Any, evaluate: Evaluate) -> None:
    case = make(seeds=(5, 2))
    model = summary(case, evaluate)["models"]["train-dense"]
    runs = case.runs[:2]
    assert model["seeds"] == [5, 2]
    want = [metrics.accuracy(run.logits, case.labels) for run in runs]
    assert model["accuracy"]["runs"] == pytest.approx(want, abs=1e-6)
    assert model["accuracy"]["std"] == pytest.approx(np.std(want, ddof=1), abs=1e-6)
    top = [metrics.top_k_accuracy(run.logits, case.labels, 2) for run in runs]
    assert model["top2_accuracy"]["runs"] == pytest.approx(top, abs=1e-6)
    loss = [metrics.loss(run.logits, case.labels) for run in runs]
    assert model["loss"]["mean"] == pytest.approx(np.mean(loss), abs=1e-6)


def test_plain_json_that_is_the_same_each_time(make: Any, evaluate: Evaluate) -> None:
    one, two = (json.dumps(summary(make(), evaluate), allow_nan=False) for _ in range(2))
    assert one == two


def test_comparisons_depend_on_neither_order_nor_neighbours(make: Any, evaluate: Evaluate) -> None:
    case = make()
    whole = summary(case, evaluate)["comparisons"]
    case.runs.reverse()
    assert summary(case, evaluate)["comparisons"] == whole
    case.runs = [run for run in case.runs if run.stage == "finetune"]
    assert summary(case, evaluate)["comparisons"] == {"finetune": whole["finetune"]}


def test_another_seed_resamples_otherwise(make: Any, evaluate: Evaluate) -> None:
    case = make()
    other = evaluate.model_copy(update={"seed": 2})
    one, two = (summary(case, each)["comparisons"]["train"] for each in (evaluate, other))
    assert one["ci95"] != two["ci95"]
    assert one["accuracy_difference"] == two["accuracy_difference"]


def test_one_seed_says_so(make: Any, evaluate: Evaluate) -> None:
    found = summary(make(seeds=(4,)), evaluate)
    comparison = found["comparisons"]["train"]
    assert comparison["resampled"] == "drawings"
    assert comparison["seeds"] == 1
    assert "nothing about other seeds" in comparison["verdict"]
    accuracy = found["models"]["train-dense"]["accuracy"]
    assert accuracy["std"] == 0
    assert accuracy["ci95"][0] < accuracy["mean"] < accuracy["ci95"][1]


def test_a_better_head_is_called_better(make: Any, evaluate: Evaluate) -> None:
    found = summary(make(spinal=0.99), evaluate)["comparisons"]["train"]
    assert found["verdict"] == "spinal better"
    assert found["p_value"] > 0


def test_another_confidence_adds_its_interval(make: Any, evaluate: Evaluate) -> None:
    case = make()
    sure = evaluate.model_copy(update={"confidence": 0.99})
    plain, wide = (summary(case, each)["comparisons"]["train"] for each in (evaluate, sure))
    assert wide["ci95"] == plain["ci95"]
    assert wide["confidence"] == 0.99
    assert wide["ci"][0] < wide["ci95"][0]


@pytest.mark.parametrize("heads", [("dense",), ("spinal", "linear")])
def test_a_head_alone_is_measured_but_not_compared(
    heads: tuple[str, ...], make: Any, evaluate: Evaluate
) -> None:
    found = summary(make(heads=heads), evaluate)
    assert found["comparisons"] == {}
    assert len(found["models"]) == 2 * len(heads)


def test_no_error_to_reduce(make: Any, evaluate: Evaluate) -> None:
    case = make(seeds=(1, 2), stages=("train",))
    for run in case.runs:
        run.logits[:] = np.eye(4)[case.labels] * 9
    found = summary(case, evaluate)
    assert found["comparisons"]["train"]["error_reduction"] is None
    low, high = found["models"]["train-dense"]["accuracy"]["ci95"]
    assert low < 0.97  # all right on 100 drawings is no proof of never wrong
    assert high == 1


def test_wrong_runs_are_named(make: Any, evaluate: Evaluate) -> None:
    case = make()
    kept = case.runs
    case.runs = [run for run in kept if run.name != "finetune-spinal-2"]
    with pytest.raises(WrongInputError, match=r"models/finetune-spinal-2: missing"):
        summary(case, evaluate)
    case.runs = [*kept, kept[0]]
    with pytest.raises(WrongInputError, match=r"models/train-dense-1: received twice"):
        summary(case, evaluate)
    case.runs = []
    with pytest.raises(WrongInputError, match="no trained model"):
        summary(case, evaluate)


def test_what_does_not_fit_is_refused(make: Any, evaluate: Evaluate) -> None:
    case = make()
    with pytest.raises(ValueError, match=r"data\.test"):
        summarise(case.runs, case.labels[1:], case.categories, case.data, evaluate)
    with pytest.raises(ValueError, match="train-dense-1"):
        summarise(case.runs, case.labels, case.categories[1:], case.data, evaluate)
