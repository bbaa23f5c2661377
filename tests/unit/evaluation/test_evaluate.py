from __future__ import annotations

from pathlib import Path
from typing import Any

from quickspine.evaluation.comparison import summarise
from quickspine.evaluation.evaluate import _own
from quickspine.evaluation.trained import Trained
from quickspine.params import Evaluate, Params


def test_a_run_gets_the_numbers_of_its_own_seed(
    make: Any, evaluate: Evaluate, params: Params
) -> None:
    case = make(seeds=(3, 1, 2))  # evaluated in another order than params.yaml lists
    metrics = summarise(case.runs, case.labels, case.categories, case.data, evaluate)
    params = params.model_copy(update={"seeds": (1, 2, 3), "evaluate": evaluate})
    whole = metrics["models"]["train-spinal"]
    assert len(set(whole["accuracy"]["runs"])) == 3
    for position, seed in enumerate((3, 1, 2)):
        model = Trained("train", "spinal", seed, Path("models"), {}, [])
        assert _own(metrics, model, params) == {
            "test_accuracy": whole["accuracy"]["runs"][position],
            "test_top2_accuracy": whole["top2_accuracy"]["runs"][position],
            "test_loss": whole["loss"]["runs"][position],
            "test_calibration_error": whole["calibration_error"]["runs"][position],
            "latency_ms": whole["latency_ms"],
        }
