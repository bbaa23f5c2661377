"""One head of one stage in numbers: means and spreads over its seeds, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import mean, median, stdev
from typing import Any

import numpy as np

from quickspine.dataset.records.seeds import derive
from quickspine.evaluation import metrics
from quickspine.evaluation.calibration import expected_calibration_error
from quickspine.evaluation.metrics import Bools, Ints, ModelRun
from quickspine.evaluation.rounded import rounded
from quickspine.evaluation.statistics.intervals import Bootstrap, wilson
from quickspine.params import Evaluate


def measured(
    group: Sequence[ModelRun], right: Sequence[Bools], labels: Ints, evaluate: Evaluate
) -> dict[str, Any]:
    """What metrics.json holds of a model.

    Args:
        group: its runs, one a seed; `runs` everywhere are in this order.
        right: bool [N] for each of them: whether it answered the test drawing rightly.
        labels: int [N].
        evaluate: the params' section.
    """
    k, costs = evaluate.top_k, group[0].costs

    def spread(measure: Callable[[ModelRun], float]) -> dict[str, Any]:
        return _spread([measure(run) for run in group])

    return {
        "seeds": [run.seed for run in group],
        "accuracy": {
            **_spread([float(answers.mean()) for answers in right]),
            "ci95": [rounded(end) for end in _interval(group, np.stack(right), evaluate)],
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
        "latency_ms": _latency(group)["1"]["median_ms"],
        "latency": _latency(group),
        "training_seconds": _seconds(group),
    }


def _spread(values: list[float]) -> dict[str, Any]:
    return {
        "mean": rounded(mean(values)),
        "std": rounded(stdev(values)) if len(values) > 1 else 0.0,
        "runs": [rounded(value) for value in values],
    }


def _interval(group: Sequence[ModelRun], right: Bools, evaluate: Evaluate) -> tuple[float, float]:
    if (right == right[0]).all():  # one seed, or seeds that say no more than one
        return wilson(int(right[0].sum()), right.shape[1])
    generator = np.random.default_rng(derive(evaluate.seed, "bootstrap", group[0].model))
    low, high = Bootstrap(right, evaluate.bootstrap_samples, generator).interval(0.95)
    return max(0.0, low), high


def _latency(group: Sequence[ModelRun]) -> dict[str, dict[str, float]]:
    """By the number of drawings at once: medians over the runs that were timed on so many."""
    counts = dict.fromkeys(count for run in group for count in run.costs.latency)
    found = {}
    for count in counts:
        timed = [run.costs.latency[count] for run in group if count in run.costs.latency]
        found[str(count)] = {
            "median_ms": round(float(median(each.median_ms for each in timed)), 3),
            "p95_ms": round(float(median(each.p95_ms for each in timed)), 3),
        }
    return found


def _seconds(group: Sequence[ModelRun]) -> float | None:
    """Mean over the seeds; None where a training's time is not known."""
    known = [run.costs.training_seconds for run in group]
    seconds = [each for each in known if each is not None]
    return round(mean(seconds), 1) if len(seconds) == len(known) else None
