"""All runs in one summary: the content of evaluation/metrics.json."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypedDict

from quickspine.errors import InputError
from quickspine.evaluation.compared import compared
from quickspine.evaluation.measured import measured
from quickspine.evaluation.metrics import Ints, ModelRun, correct
from quickspine.params import Evaluate


class DataInfo(TypedDict):
    """The drawings that the models saw."""

    source: str
    synthetic: bool  # drawn by a program: every report and figure says so
    train: int  # drawings
    validation: int
    test: int
    licence: str
    attribution: str
    shape: list[int]  # height, width and channels of a drawing


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
        stages that have both heads, `pairs` every pair of heads, `<first>-<second>`: the first
        minus the second.

    Raises:
        InputError: if a run is there twice, or one head of a stage lacks a seed.
        ValueError: if logits, labels, categories and counts do not fit together.
    """
    _check(runs, labels, categories, data)
    models = by_model(runs)
    right = {run.name: correct(run.logits, labels) for run in runs}
    pairs = compared(models, right, evaluate)
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
            "shape": data["shape"],
        },
        "models": {
            name: measured(group, [right[run.name] for run in group], labels, evaluate)
            for name, group in models.items()
        },
        "comparisons": {
            stage: of_stage["spinal-dense"]
            for stage, of_stage in pairs.items()
            if "spinal-dense" in of_stage
        },
        "pairs": pairs,
    }


def _check(
    runs: Sequence[ModelRun], labels: Ints, categories: Sequence[str], data: DataInfo
) -> None:
    if not runs:
        raise InputError("models/: no trained model; run: dvc repro")
    if data["test"] != len(labels):
        raise ValueError(f"data.test must be {len(labels)}. Received: {data['test']}")
    seen: set[str] = set()
    for run in runs:
        if run.logits.shape != (len(labels), len(categories)):
            wanted, received = [len(labels), len(categories)], list(run.logits.shape)
            raise ValueError(f"{run.name}: logits must be {wanted}. Received: {received}")
        if run.name in seen:
            raise InputError(f"models/{run.name}: received twice; evaluate each model once")
        seen.add(run.name)
    for run in runs:
        for other in by_model(each for each in runs if each.stage == run.stage):
            if f"{other}-{run.seed}" not in seen:
                raise InputError(
                    f"models/{other}-{run.seed}: missing, while models/{run.name} is there; "
                    "run: dvc repro"
                )
