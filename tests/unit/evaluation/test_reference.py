"""The comparison gives the numbers that it gave before it was rebuilt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quickspine.evaluation.comparison import DataInfo, summarise
from quickspine.params import Params
from tests.unit.evaluation.answers import run_of

REFERENCE = Path(__file__).parent / "reference"
EXPECTED = json.loads((REFERENCE / "comparison.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("name", "seeds", "confidence"),
    [("three seeds, 95 %", (1, 2, 3), 0.95), ("one seed, 99 %", (1,), 0.99)],
)
def test_equal_predictions_give_equal_numbers(
    params: Params, name: str, seeds: tuple[int, ...], confidence: float
) -> None:
    """`reference/` holds predictions.npz, and what commit 0483cc1 made of it."""
    runs = []
    with np.load(REFERENCE / "predictions.npz", allow_pickle=False) as arrays:
        labels = arrays["labels"]
        for key in arrays["names"][1:]:
            stage, head, seed = str(key).split("-")
            if int(seed) in seeds:
                logits = arrays[f"logits_{key}"]
                runs.append(run_of(stage, head, int(seed), logits))  # type: ignore[arg-type]
    data = DataInfo(
        source="doodles", synthetic=True, train=1, validation=1, test=len(labels),
        licence="", attribution="", shape=[28, 28, 1],
    )  # fmt: skip
    evaluate = params.evaluate.model_copy(
        update={"top_k": 3, "bootstrap_samples": 2000, "confidence": confidence, "seed": 1}
    )
    found = summarise(runs, labels, [f"c{number}" for number in range(8)], data, evaluate)
    expected = EXPECTED[name]
    for model, measures in expected["models"].items():
        assert {key: found["models"][model][key] for key in measures} == measures
    for stage, pairs in expected["pairs"].items():
        assert list(found["pairs"][stage]) == list(pairs)
        for pair, values in pairs.items():
            compared = found["pairs"][stage][pair]
            assert numbers(compared) == numbers(values), pair
            claim = values["verdict"].partition(" better")[0]
            assert compared["verdict"].startswith(
                claim if "better" in values["verdict"] else "no significant difference"
            )


def numbers(pair: dict[str, Any]) -> dict[str, Any]:
    """All but the wording, and what was added since."""
    worded = ("verdict", "resampled", "minimum_detectable_effect", "needed")
    needed = {key: value for key, value in pair["needed"].items() if key != "words"}
    return {key: value for key, value in pair.items() if key not in worded} | needed
