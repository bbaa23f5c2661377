"""Every pair of heads of every stage, corrected for their number: `pairs` of metrics.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, get_args

import numpy as np

from quickspine.dataset.records.seeds import derive
from quickspine.evaluation.metrics import Bools, ModelRun
from quickspine.evaluation.rounded import rounded, rounded_p
from quickspine.evaluation.statistics import POWER, Pair, compare, corrected, needed, verdict
from quickspine.params import Evaluate, Head

HEADS: tuple[str, ...] = get_args(Head)


def compared(
    models: Mapping[str, Sequence[ModelRun]], right: Mapping[str, Bools], evaluate: Evaluate
) -> dict[str, dict[str, dict[str, Any]]]:
    """Compare all heads within their stages; all pairs of all stages are corrected together.

    Args:
        models: `<stage>-<head>` to its runs, each head of a stage with the same seeds.
        right: name of a run to bool [N]: whether it answered the test drawing rightly.
        evaluate: the params' section.

    Returns:
        By stage and `<first>-<second>`, the later of `HEADS` minus the earlier, in plain JSON
        types.
    """
    # In the order of seeds, so that pairs are pairs whatever the order of the runs.
    ordered = {name: sorted(group, key=lambda run: run.seed) for name, group in models.items()}
    answers = {
        name: np.stack([right[run.name] for run in group]) for name, group in ordered.items()
    }
    stages = dict.fromkeys(group[0].stage for group in models.values())
    names = [
        (stage, first, second)
        for stage in stages
        for first, second in combinations(reversed(HEADS), 2)
        if f"{stage}-{first}" in models and f"{stage}-{second}" in models
    ]
    pairs = [
        compare(
            answers[f"{stage}-{first}"],
            answers[f"{stage}-{second}"],
            samples=evaluate.bootstrap_samples,
            confidence=evaluate.confidence,
            generator=np.random.default_rng(
                derive(evaluate.seed, "bootstrap", stage, first, second)
            ),
        )
        for stage, first, second in names
    ]
    found: dict[str, dict[str, dict[str, Any]]] = {stage: {} for stage in stages}
    for (stage, first, second), pair, p_holm in zip(names, pairs, corrected(pairs), strict=True):
        told = _told(
            pair, p_holm, (first, second), [run.seed for run in ordered[f"{stage}-{first}"]]
        )
        more = needed(pair.differences, (1 - evaluate.confidence) / len(pairs))
        told["needed"] = {
            "power": POWER,
            "seeds": more.seeds,
            "drawings": more.drawings,
            "words": more.words,
        }
        found[stage][f"{first}-{second}"] = told
    return found


def _told(
    pair: Pair, p_holm: float, heads: tuple[str, str], seeds: Sequence[int]
) -> dict[str, Any]:
    reduction = pair.error_reduction
    told: dict[str, Any] = {
        "accuracy_difference": rounded(pair.accuracy_difference),
        "ci95": [rounded(end) for end in pair.ci95],
    }
    if pair.confidence != 0.95:
        told["ci"] = [rounded(end) for end in pair.ci]
        told["confidence"] = pair.confidence
    return told | {
        "p_value": rounded_p(pair.p_value),
        "p_bootstrap": rounded_p(pair.p_bootstrap),
        "p_holm": rounded_p(p_holm),
        "error_reduction": None if reduction is None else rounded(reduction, 3),
        "seeds": len(seeds),
        "resampled": pair.resampled,
        "verdict": verdict(pair, p_holm, heads),
        "mcnemar": [
            {
                "seed": seed,
                "better": of_seed.better,
                "worse": of_seed.worse,
                "p_value": rounded_p(of_seed.p_value),
            }
            for seed, of_seed in zip(seeds, pair.mcnemar, strict=True)
        ],
    }
