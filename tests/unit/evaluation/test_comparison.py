from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from quickspine.evaluation import metrics
from quickspine.evaluation.calibration import expected_calibration_error
from quickspine.evaluation.statistics.paired import holm
from quickspine.params import Evaluate
from tests.unit.evaluation.made import summary


def test_the_contract(make: Any, evaluate: Evaluate) -> None:
    case = make()
    found = summary(case, evaluate)
    again = summary(make(), evaluate)
    assert json.dumps(found, allow_nan=False) == json.dumps(again, allow_nan=False)
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
    assert model["latency_ms"] == model["latency"]["1"]["median_ms"] == 3.2
    assert model["latency"]["256"] == {"median_ms": 32.0, "p95_ms": 38.4}
    assert model["memory"] == {"weights_bytes": 4 * 207_850, "activations_bytes": 100_352}
    assert model["head_multiplications"] == 7850
    assert model["training_seconds"] == 22
    assert model["validation_accuracy"]["runs"] == [0.81, 0.82, 0.83]
    for stage in ("train", "finetune"):
        comparison = found["comparisons"][stage]
        assert set(comparison) == {
            "accuracy_difference", "ci95", "p_value", "p_bootstrap", "p_holm", "error_reduction",
            "verdict", "seeds", "resampled", "mcnemar", "needed", "minimum_detectable_effect",
        }  # fmt: skip
        assert found["pairs"][stage] == {"spinal-dense": comparison}
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
    want = [metrics.correct(run.logits, case.labels).mean() for run in runs]
    assert model["accuracy"]["runs"] == pytest.approx(want, abs=1e-6)
    assert model["accuracy"]["std"] == pytest.approx(np.std(want, ddof=1), abs=1e-6)
    top = [metrics.top_k_accuracy(run.logits, case.labels, 2) for run in runs]
    assert model["top2_accuracy"]["runs"] == pytest.approx(top, abs=1e-6)
    loss = [metrics.loss(run.logits, case.labels) for run in runs]
    error = [expected_calibration_error(run.logits, case.labels) for run in runs]
    assert model["calibration_error"]["runs"] == pytest.approx(error, abs=1e-6)
    assert model["loss"]["mean"] == pytest.approx(np.mean(loss), abs=1e-6)


def test_comparisons_do_not_depend_on_the_order_of_the_runs(make: Any, evaluate: Evaluate) -> None:
    case = make()
    whole = summary(case, evaluate)["comparisons"]
    case.runs.reverse()
    assert summary(case, evaluate)["comparisons"] == whole


def test_neighbours_change_what_is_corrected_for_them_alone(make: Any, evaluate: Evaluate) -> None:
    case = make()
    whole = summary(case, evaluate)["comparisons"]["finetune"]
    case.runs = [run for run in case.runs if run.stage == "finetune"]
    alone = summary(case, evaluate)["comparisons"]["finetune"]
    corrected = ("p_holm", "verdict", "needed", "minimum_detectable_effect")
    assert {key: value for key, value in alone.items() if key not in corrected} == {
        key: value for key, value in whole.items() if key not in corrected
    }
    assert alone["p_holm"] == max(alone["p_value"], alone["p_bootstrap"]) <= whole["p_holm"]


def test_every_pair_of_heads_the_later_minus_the_earlier(make: Any, evaluate: Evaluate) -> None:
    case = make(heads=("spinal", "dense", "progressive", "linear", "matched"))
    found = summary(case, evaluate)
    assert set(found["pairs"]["train"]) == {
        "progressive-spinal", "progressive-matched", "progressive-dense", "progressive-linear",
        "spinal-matched", "spinal-dense", "spinal-linear",
        "matched-dense", "matched-linear", "dense-linear",
    }  # fmt: skip
    assert found["comparisons"]["train"] == found["pairs"]["train"]["spinal-dense"]
    every = [pair for of_stage in found["pairs"].values() for pair in of_stage.values()]
    claims = [max(pair["p_value"], pair["p_bootstrap"]) for pair in every]
    assert [pair["p_holm"] for pair in every] == pytest.approx(holm(claims), rel=1e-5)
    for stage, of_stage in found["pairs"].items():
        for name, pair in of_stage.items():
            first, second = (
                found["models"][f"{stage}-{head}"]["accuracy"] for head in name.split("-")
            )
            assert pair["accuracy_difference"] == pytest.approx(
                first["mean"] - second["mean"], abs=2e-6
            )
            for each, one, other in zip(
                pair["mcnemar"], first["runs"], second["runs"], strict=True
            ):
                assert (each["better"] - each["worse"]) / 100 == pytest.approx(one - other)
            assert [each["seed"] for each in pair["mcnemar"]] == [1, 2, 3]


def test_seconds_are_unknown_where_one_training_was_restored(make: Any, evaluate: Evaluate) -> None:
    case = make(stages=("train",))
    case.runs[-1] = dataclasses.replace(case.runs[-1], training_seconds=None)
    models = summary(case, evaluate)["models"]
    assert models["train-dense"]["training_seconds"] == 22
    assert models["train-spinal"]["training_seconds"] is None


def test_another_seed_resamples_otherwise(make: Any, evaluate: Evaluate) -> None:
    case = make()
    other = evaluate.model_copy(update={"seed": 2})
    one, two = (summary(case, each)["comparisons"]["train"] for each in (evaluate, other))
    assert one["ci95"] != two["ci95"]
    assert one["accuracy_difference"] == two["accuracy_difference"]


def test_one_seed_says_so(make: Any, evaluate: Evaluate) -> None:
    found = summary(make(seeds=(4,)), evaluate)
    comparison = found["comparisons"]["train"]
    assert comparison["resampled"] == "images"
    assert comparison["seeds"] == 1
    assert "nothing about other seeds" in comparison["verdict"]
    accuracy = found["models"]["train-dense"]["accuracy"]
    assert accuracy["std"] == 0
    assert accuracy["ci95"][0] < accuracy["mean"] < accuracy["ci95"][1]


def test_another_confidence_adds_its_interval(make: Any, evaluate: Evaluate) -> None:
    case = make()
    sure = evaluate.model_copy(update={"confidence": 0.99})
    plain, wide = (summary(case, each)["comparisons"]["train"] for each in (evaluate, sure))
    assert wide["ci95"] == plain["ci95"]
    assert wide["confidence"] == 0.99
    assert wide["ci"][0] < wide["ci95"][0]


@pytest.mark.parametrize("heads", [("dense",), ("spinal", "linear")])
def test_without_both_heads_there_is_no_answer_to_the_question(
    heads: tuple[str, ...], make: Any, evaluate: Evaluate
) -> None:
    found = summary(make(heads=heads), evaluate)
    assert found["comparisons"] == {}
    assert list(found["pairs"]["train"]) == (["spinal-linear"] if len(heads) == 2 else [])
    assert len(found["models"]) == 2 * len(heads)


def test_no_error_to_reduce(make: Any, evaluate: Evaluate) -> None:
    case = make(seeds=(1, 2), stages=("train",))
    for run in case.runs:
        run.logits[:] = np.eye(4)[case.labels] * 9
    found = summary(case, evaluate)
    assert found["comparisons"]["train"]["error_reduction"] is None
    low, high = found["models"]["train-dense"]["accuracy"]["ci95"]
    assert low < 0.97  # all right on 100 images is no proof of never wrong
    assert high == 1
