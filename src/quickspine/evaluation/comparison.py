"""All runs in one summary: the content of evaluation/metrics.json."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import mean, median, stdev
from typing import Any, TypedDict

import numpy as np

from quickspine.errors import WrongInputError
from quickspine.evaluation import metrics
from quickspine.evaluation.metrics import Bools, Ints, ModelRun
from quickspine.evaluation.statistics import Bootstrap, compare, wilson
from quickspine.params import Evaluate

DIGITS = 6  # of every share: beyond the noise of any test split, and stable in bytes


class DataInfo(TypedDict):
    """The drawings that the models saw."""

    source: str
    synthetic: bool  # drawn by a program: every report and figure says so
    train: int  # drawings
    validation: int
    test: int
    licence: str
    attribution: str


def by_model(runs: Iterable[ModelRun]) -> dict[str, list[ModelRun]]:
    """The runs of each `<stage>-<head>`, both in the order in which they come."""
    groups: dict[str, list[ModelRun]] = {}
    for run in runs:
        groups.setdefault(run.model, []).append(run)
    return groups


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
        labels: int [N], the true labels of the test drawings, in the order of the logits.
        categories: C names in label order.
        data: what the models saw; `test` is N.
        evaluate: the params' section; all randomness comes from its seed.

    Returns:
        Plain JSON types. Accuracies and differences are shares, 0…1 (differences: spinal minus
        dense); loss in nats; latency in ms; error reduction in per cent. `comparisons` holds the
        stages that have both heads.

    Raises:
        WrongInputError: if a run is there twice, or one head of a stage lacks a seed.
        ValueError: if logits, labels, categories and counts do not fit together.
    """
    _check(runs, labels, categories, data)
    models = by_model(runs)
    return {
        "data": {
            "source": data["source"],
            "synthetic": data["synthetic"],
            "categories": list(categories),
            "train": data["train"],
            "validation": data["validation"],
            "test": data["test"],
            "licence": data["licence"],
            "attribution": data["attribution"],
        },
        "models": {name: _model(group, labels, evaluate) for name, group in models.items()},
        "comparisons": {
            stage: _comparison(models, stage, labels, evaluate)
            for stage in dict.fromkeys(run.stage for run in runs)
            if f"{stage}-dense" in models and f"{stage}-spinal" in models
        },
    }


def _check(
    runs: Sequence[ModelRun], labels: Ints, categories: Sequence[str], data: DataInfo
) -> None:
    if not runs:
        raise WrongInputError("models/: no trained model; run: dvc repro")
    if data["test"] != len(labels):
        raise ValueError(f"data.test must be {len(labels)}. Received: {data['test']}")
    seen: set[str] = set()
    for run in runs:
        if run.logits.shape != (len(labels), len(categories)):
            wanted, received = [len(labels), len(categories)], list(run.logits.shape)
            raise ValueError(f"{run.name}: logits must be {wanted}. Received: {received}")
        if run.name in seen:
            raise WrongInputError(f"models/{run.name}: received twice; evaluate each model once")
        seen.add(run.name)
    heads = {"dense": "spinal", "spinal": "dense"}
    models = {run.model for run in runs}
    for run in runs:
        model = f"{run.stage}-{heads.get(run.head)}"
        if model in models and f"{model}-{run.seed}" not in seen:
            raise WrongInputError(
                f"models/{model}-{run.seed}: missing, while models/{run.name} is there; "
                "run: dvc repro"
            )


def _generator(seed: int, name: str) -> np.random.Generator:
    """Randomness that depends on the seed and on what it is for, not on what came before."""
    return np.random.default_rng([seed, *name.encode()])


def _rounded(value: float) -> float:
    return round(value, DIGITS) + 0.0  # no −0.0


def _spread(values: list[float]) -> dict[str, Any]:
    return {
        "mean": _rounded(mean(values)),
        "std": _rounded(stdev(values)) if len(values) > 1 else 0.0,
        "runs": [_rounded(value) for value in values],
    }


def _answers(group: list[ModelRun], labels: Ints) -> Bools:
    return np.stack([metrics.correct(run.logits, labels) for run in group])


def _model(group: list[ModelRun], labels: Ints, evaluate: Evaluate) -> dict[str, Any]:
    right, k = _answers(group, labels), evaluate.top_k

    def spread(measure: Callable[[ModelRun], float]) -> dict[str, Any]:
        return _spread([measure(run) for run in group])

    if (right == right[0]).all():  # one seed, or seeds that say no more than one
        ci95 = wilson(int(right[0].sum()), len(labels))
    else:
        generator = _generator(evaluate.seed, group[0].model)
        low, high = Bootstrap(right, evaluate.bootstrap_samples, generator).interval(0.95)
        ci95 = max(0.0, low), high
    return {
        "seeds": [run.seed for run in group],
        "accuracy": {
            **_spread([float(answers.mean()) for answers in right]),
            "ci95": [_rounded(end) for end in ci95],
        },
        f"top{k}_accuracy": spread(lambda run: metrics.top_k_accuracy(run.logits, labels, k)),
        "loss": spread(lambda run: metrics.loss(run.logits, labels)),
        "parameters": int(group[0].parameters),
        "head_parameters": int(group[0].head_parameters),
        "latency_ms": round(float(median(run.latency_ms for run in group)), 3),
    }


def _comparison(
    models: dict[str, list[ModelRun]], stage: str, labels: Ints, evaluate: Evaluate
) -> dict[str, Any]:
    # In the order of seeds, so that the pairs are pairs whatever the order of the runs.
    dense, spinal = (
        _answers(sorted(models[f"{stage}-{head}"], key=lambda run: run.seed), labels)
        for head in ("dense", "spinal")
    )
    found = compare(
        dense,
        spinal,
        samples=evaluate.bootstrap_samples,
        confidence=evaluate.confidence,
        generator=_generator(evaluate.seed, stage),
    )
    reduction = found.error_reduction
    result: dict[str, Any] = {
        "accuracy_difference": _rounded(found.accuracy_difference),
        "ci95": [_rounded(end) for end in found.ci95],
    }
    if evaluate.confidence != 0.95:
        result["ci"] = [_rounded(end) for end in found.ci]
        result["confidence"] = evaluate.confidence
    return result | {
        "p_value": float(f"{found.p_value:.6g}"),  # a small one must not become 0
        "error_reduction": None if reduction is None else round(reduction, 3) + 0.0,
        "seeds": len(dense),
        "resampled": found.resampled,
        "verdict": found.verdict,
    }
