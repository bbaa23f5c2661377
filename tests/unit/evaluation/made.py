"""What made-up runs come to: their summary, and all that a report of them is made of."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from quickspine.evaluation import pairing
from quickspine.evaluation.comparison import summarise
from quickspine.evaluation.evidence import Evidence
from quickspine.evaluation.examples import pick, positions
from quickspine.params import Evaluate

ORDER = ("progressive", "spinal", "matched", "dense", "linear")
ENVIRONMENT = {"Python": "3.11", "device": "<CPU> & co"}
DIGESTS = {"params": "a" * 64, "data": "b" * 64, "train-dense-1": "c" * 64}


def summary(case: Any, evaluate: Evaluate) -> dict[str, Any]:
    """The content of metrics.json."""
    metrics = summarise(case.runs, case.labels, case.categories, case.data, evaluate)
    return completed(metrics)


def completed(metrics: dict[str, Any]) -> dict[str, Any]:
    """With made-up values, all different, where a measure is not there."""
    for number, model in enumerate(metrics["models"].values(), start=1):
        seeds = len(model["seeds"])
        for name, value in (("calibration_error", 0.0123), ("validation_accuracy", 0.912)):
            runs = [value + number / 1000 + seed / 100 for seed in range(seeds)]
            std = float(np.std(runs, ddof=1)) if seeds > 1 else 0.0
            model.setdefault(name, {"mean": float(np.mean(runs)), "std": std, "runs": runs})
        model.setdefault("multiplications", 12_345_670 + number)
        model.setdefault("head_multiplications", 9_870 + number)
        size = {"weights_bytes": 850_000 + 70_000 * number, "activations_bytes": 90_000 * number}
        model.setdefault("memory", size)
        latency = {"median_ms": 31.25 + number, "p95_ms": 44.75 + number}
        one = {"median_ms": model["latency_ms"], "p95_ms": 1.5 * model["latency_ms"]}
        model.setdefault("latency", {"1": one, "256": latency})
        model.setdefault("training_seconds", 1234.5 + number)
    if "pairs" not in metrics:
        for found in metrics["comparisons"].values():
            found |= _more(found["p_value"], found["seeds"])
        metrics["pairs"] = {stage: _pairs(stage, metrics) for stage in pairing.stages(metrics)}
    return metrics


def _more(p: float, seeds: int) -> dict[str, Any]:
    return {
        "p_bootstrap": p,
        "p_holm": min(1.0, 2 * p),
        "mcnemar": [
            {"seed": seed, "better": 30 + seed, "worse": 20 + seed, "p_value": 0.2 / seed}
            for seed in range(1, seeds + 1)
        ],
        "needed": {"power": 0.8, "seeds": 12, "drawings": 4000, "words": "train 12 seeds."},
    }


def _pairs(stage: str, metrics: dict[str, Any]) -> dict[str, Any]:
    there = pairing.heads(metrics, stage)
    pairs = {}
    for number, (one, other) in enumerate(
        combinations([head for head in ORDER if head in there], 2), start=1
    ):
        low, high = -0.0102 - number / 1000, 0.0203 + number / 1000
        pairs[f"{one}-{other}"] = {
            "accuracy_difference": (low + high) / 2,
            "ci95": [low, high],
            "p_value": 0.031 * number,
            "error_reduction": None if number == 2 else -3.25 * number,
            "seeds": len(there[one]["seeds"]),
            "resampled": "seeds and drawings",
            "verdict": "no difference larger than 2.1 points can be claimed",
            **_more(0.031 * number, len(there[one]["seeds"])),
        }
    if stage in metrics["comparisons"]:
        pairs["spinal-dense"] = metrics["comparisons"][stage]
    return pairs


def evidence(
    case: Any, metrics: dict[str, Any], figures: dict[str, str] | None = None, **options: Any
) -> Evidence:
    """All that a report of these runs is made of; each drawing is a bar as wide as its place."""
    examples = pick(case.runs, case.labels, pairing.main_pairs(metrics))
    bitmaps = {}
    for place in positions(examples):
        bitmaps[place] = np.zeros((28, 28, 1), np.uint8)
        bitmaps[place][10:18, : 1 + place % 28] = 255
    defaults: dict[str, Any] = {
        "environment": ENVIRONMENT,
        "digests": DIGESTS,
        "contact_sheet": None,
    }
    return Evidence(metrics, figures or {}, examples, bitmaps, **(defaults | options))
