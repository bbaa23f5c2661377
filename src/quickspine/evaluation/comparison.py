"""Measure all runs and compare the heads: the content of evaluation/metrics.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from statistics import mean, stdev
from typing import Any, TypedDict, get_args

import numpy as np

from quickspine.dataset.records.seeds import derive
from quickspine.evaluation import metrics
from quickspine.evaluation.calibration import expected_calibration_error
from quickspine.evaluation.metrics import Bools, Ints, ModelRun, by_model
from quickspine.evaluation.statistics.intervals import Bootstrap, wilson
from quickspine.evaluation.statistics.pairs import Pair, compare, corrected, verdict
from quickspine.evaluation.statistics.power import POWER, detectable_effect, needed
from quickspine.params import Evaluate, Head

HEADS: tuple[str, ...] = get_args(Head)
DIGITS = 6  # of every share: beyond the noise of any test split


class DataInfo(TypedDict):
    """The data that the models saw."""

    source: str
    synthetic: bool  # drawn by a program: every report and figure says so
    train: int  # images
    validation: int
    test: int
    licence: str
    attribution: str
    shape: list[int]  # height, width and channels of an image


def summarise(
    runs: Sequence[ModelRun],
    labels: Ints,
    categories: Sequence[str],
    data: DataInfo,
    evaluate: Evaluate,
) -> dict[str, Any]:
    """Measure every model and compare the heads.

    Args:
        runs: each head of a stage with the same seeds; `accuracy.runs` and such keep their order.
        labels: int [N], the true labels of the test images, in the order of the logits.
        categories: C names in label order.
        data: what the models saw; `test` is N.
        evaluate: the params' section; all randomness comes from its seed.

    Returns:
        Plain JSON types. Accuracies and differences are shares, 0…1 (differences: spinal minus
        dense); loss in nats; latency in ms; error reduction in per cent. `comparisons` holds the
        stages that have both heads, `pairs` every pair of heads, `<first>-<second>`: the first
        minus the second.
    """
    models = by_model(runs)
    right = {run.name: metrics.correct(run.logits, labels) for run in runs}
    pairs = _compare_all(models, right, evaluate)
    return {
        "data": {**data, "categories": list(categories)},
        "models": {
            name: _measure(group, np.stack([right[run.name] for run in group]), labels, evaluate)
            for name, group in models.items()
        },
        "comparisons": {
            stage: of_stage["spinal-dense"]
            for stage, of_stage in pairs.items()
            if "spinal-dense" in of_stage
        },
        "pairs": pairs,
    }


def _measure(
    group: Sequence[ModelRun], right: Bools, labels: Ints, evaluate: Evaluate
) -> dict[str, Any]:
    """Measure a model by its runs, one per seed; `right` is bool [S, N]."""
    k, costs = evaluate.top_k, group[0].costs

    def spread(measure: Callable[[ModelRun], float]) -> dict[str, Any]:
        return _spread([measure(run) for run in group])

    seconds = [run.training_seconds for run in group if run.training_seconds is not None]
    latency = {
        str(size): {"median_ms": round(each.median_ms, 3), "p95_ms": round(each.p95_ms, 3)}
        for size, each in costs.latency.items()
    }
    return {
        "seeds": [run.seed for run in group],
        "accuracy": {
            **_spread([float(each.mean()) for each in right]),
            "ci95": [_rounded(end) for end in _interval(group[0].model, right, evaluate)],
        },
        f"top{k}_accuracy": spread(lambda run: metrics.top_k_accuracy(run.logits, labels, k)),
        "loss": spread(lambda run: metrics.loss(run.logits, labels)),
        "calibration_error": spread(lambda run: expected_calibration_error(run.logits, labels)),
        "validation_accuracy": spread(lambda run: run.validation_accuracy),
        "parameters": costs.parameters,
        "head_parameters": costs.head_parameters,
        "multiplications": costs.multiplications,
        "head_multiplications": costs.head_multiplications,
        "memory": {
            "weights_bytes": costs.weights_bytes,
            "activations_bytes": costs.activations_bytes,
        },
        "latency_ms": latency["1"]["median_ms"],
        "latency": latency,
        "training_seconds": round(mean(seconds), 1) if len(seconds) == len(group) else None,
    }


def _spread(values: list[float]) -> dict[str, Any]:
    return {
        "mean": _rounded(mean(values)),
        "std": _rounded(stdev(values)) if len(values) > 1 else 0.0,
        "runs": [_rounded(value) for value in values],
    }


def _interval(model: str, right: Bools, evaluate: Evaluate) -> tuple[float, float]:
    if (right == right[0]).all():  # one seed, or seeds that all predict alike
        return wilson(int(right[0].sum()), right.shape[1])
    generator = np.random.default_rng(derive(evaluate.seed, "bootstrap", model))
    low, high = Bootstrap(right, evaluate.bootstrap_samples, generator).interval(0.95)
    return max(0.0, low), high


def _compare_all(
    models: Mapping[str, Sequence[ModelRun]], right: Mapping[str, Bools], evaluate: Evaluate
) -> dict[str, dict[str, dict[str, Any]]]:
    """Compare all heads within their stages, corrected for the number of pairs of all stages.

    Returns:
        By stage and `<first>-<second>`, the later of `HEADS` minus the earlier.
    """
    # In the order of seeds, so that pairs are pairs whatever the order of the runs.
    ordered = {name: sorted(group, key=lambda run: run.seed) for name, group in models.items()}
    stages = dict.fromkeys(group[0].stage for group in models.values())
    names = [
        (stage, first, second)
        for stage in stages
        for first, second in combinations(reversed(HEADS), 2)
        if f"{stage}-{first}" in models and f"{stage}-{second}" in models
    ]

    def answers(stage: str, head: str) -> Bools:
        return np.stack([right[run.name] for run in ordered[f"{stage}-{head}"]])

    pairs = [
        compare(
            answers(stage, first),
            answers(stage, second),
            samples=evaluate.bootstrap_samples,
            confidence=evaluate.confidence,
            generator=np.random.default_rng(
                derive(evaluate.seed, "bootstrap", stage, first, second)
            ),
        )
        for stage, first, second in names
    ]
    level = (1 - evaluate.confidence) / max(1, len(pairs))
    by_stage: dict[str, dict[str, dict[str, Any]]] = {stage: {} for stage in stages}
    for (stage, first, second), pair, p_holm in zip(names, pairs, corrected(pairs), strict=True):
        seeds = [run.seed for run in ordered[f"{stage}-{first}"]]
        by_stage[stage][f"{first}-{second}"] = _pair_to_dict(
            pair, p_holm, (first, second), seeds, level
        )
    return by_stage


def _pair_to_dict(
    pair: Pair, p_holm: float, heads: tuple[str, str], seeds: Sequence[int], level: float
) -> dict[str, Any]:
    reduction, more = pair.error_reduction, needed(pair.differences, level)
    effect = detectable_effect(pair.differences, level)
    result: dict[str, Any] = {
        "accuracy_difference": _rounded(pair.accuracy_difference),
        "ci95": [_rounded(end) for end in pair.ci95],
    }
    if pair.confidence != 0.95:
        result["ci"] = [_rounded(end) for end in pair.ci]
        result["confidence"] = pair.confidence
    return result | {
        "p_value": _rounded_p(pair.p_value),
        "p_bootstrap": _rounded_p(pair.p_bootstrap),
        "p_holm": _rounded_p(p_holm),
        "error_reduction": None if reduction is None else _rounded(reduction, 3),
        "seeds": len(seeds),
        "resampled": pair.resampled,
        "verdict": verdict(pair, p_holm, heads),
        "mcnemar": [
            {
                "seed": seed,
                "better": of_seed.better,
                "worse": of_seed.worse,
                "p_value": _rounded_p(of_seed.p_value),
            }
            for seed, of_seed in zip(seeds, pair.mcnemar, strict=True)
        ],
        "minimum_detectable_effect": None if effect is None else _rounded(effect),
        "needed": {
            "power": POWER,
            "seeds": more.seeds,
            "drawings": more.images,
            "words": more.words,
        },
    }


def _rounded(value: float, digits: int = DIGITS) -> float:
    """Round a share or a difference; never −0."""
    return round(value, digits) + 0.0


def _rounded_p(value: float) -> float:
    """Round a p-value to 6 digits; however small, it does not become 0."""
    return float(f"{value:.6g}")
