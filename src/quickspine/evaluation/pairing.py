"""What `metrics.json` says about who was compared with whom."""

from __future__ import annotations

from typing import Any

STAGES = {"train": "from random weights", "finetune": "pretrained backbone"}


def stages(metrics: dict[str, Any]) -> list[str]:
    """The stages that have a model, in the order of the models."""
    return list(dict.fromkeys(name.partition("-")[0] for name in metrics["models"]))


def told(stage: str) -> str:
    """A stage and what it does: "train: from random weights"."""
    return f"{stage}: {STAGES[stage]}" if stage in STAGES else stage


def heads(metrics: dict[str, Any], stage: str) -> dict[str, dict[str, Any]]:
    """The models of a stage by the name of their head."""
    return {
        name.partition("-")[2]: model
        for name, model in metrics["models"].items()
        if name.partition("-")[0] == stage
    }


def main_pair(metrics: dict[str, Any], stage: str) -> tuple[str, str] | None:
    """The two heads of a stage that pictures show: spinal and dense where both are there.

    Else the first pair that was compared; None where a stage has one head.
    """
    pairs = list(metrics["pairs"].get(stage, {}))
    if stage in metrics["comparisons"]:
        return "spinal", "dense"
    if not pairs:
        return None
    first, _, second = pairs[0].partition("-")
    return first, second


def is_open(pair: tuple[str, str], found: dict[str, Any]) -> bool:
    """Whether the verdict on two heads claims neither of them."""
    return not any(found["verdict"].startswith(f"{head} better") for head in pair)


def main_pairs(metrics: dict[str, Any]) -> dict[str, tuple[str, str] | None]:
    """`main_pair` of every stage."""
    return {stage: main_pair(metrics, stage) for stage in stages(metrics)}
