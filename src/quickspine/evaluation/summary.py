"""Read `metrics.json`: its stages and pairs, the result in words and as numbers to log."""

from __future__ import annotations

from typing import Any

from quickspine.dataset import SPLITS
from quickspine.params import DRAWN

DIGITS = 5  # of a share: DVC shows as many
STAGES = {"train": "from random weights", "finetune": "pretrained backbone"}
Pairs = dict[str, tuple[str, str] | None]


def noun(data: dict[str, Any]) -> str:
    """Name one example: "drawing" for Quick, Draw! and its imitations, else "image"."""
    return "drawing" if data["source"] in DRAWN else "image"


def stages(metrics: dict[str, Any]) -> list[str]:
    """The stages that have a model, in the order of the models."""
    return list(dict.fromkeys(name.partition("-")[0] for name in metrics["models"]))


def heads(metrics: dict[str, Any], stage: str) -> dict[str, dict[str, Any]]:
    """The models of a stage by the name of their head."""
    return {
        name.partition("-")[2]: model
        for name, model in metrics["models"].items()
        if name.partition("-")[0] == stage
    }


def main_pairs(metrics: dict[str, Any]) -> Pairs:
    """By stage, the two heads that charts compare: spinal and dense where both are there.

    Else the first pair that was compared; None where a stage has one head.
    """
    by_stage: Pairs = {}
    for stage in stages(metrics):
        pairs = list(metrics["pairs"].get(stage, {}))
        name = "spinal-dense" if stage in metrics["comparisons"] else (pairs or [""])[0]
        first, _, second = name.partition("-")
        by_stage[stage] = (first, second) if name else None
    return by_stage


def is_significant(pair: dict[str, Any]) -> bool:
    """Whether the verdict on a pair calls one head better."""
    return " better" in str(pair["verdict"]).partition("(")[0]


def describe(metrics: dict[str, Any]) -> str:
    """The result in a few lines, for the terminal."""
    data = metrics["data"]
    kind = f" (synthetic {noun(data)}s)" if data["synthetic"] else ""
    counts = ", ".join(f"{data[split]} {split}" for split in SPLITS)
    lines = [f"{data['source']}{kind}, {len(data['categories'])} categories: {counts}"]
    for name, model in metrics["models"].items():
        accuracy, seeds = model["accuracy"], len(model["seeds"])
        of_seeds = f"± {accuracy['std']:.2%} of {seeds} seeds" if seeds > 1 else "of one seed"
        lines.append(
            f"  {name:<16} {accuracy['mean']:7.2%} {of_seeds}, {model['parameters']:,} parameters "
            f"(head {model['head_parameters']:,}), {model['latency_ms']:.2f} ms per {noun(data)}"
        )
    for stage, pair in metrics["comparisons"].items():
        low, high = pair["ci95"]
        lines.append(
            f"  {stage}: spinal - dense {pair['accuracy_difference'] * 100:+.2f} points "
            f"[{low * 100:+.2f}, {high * 100:+.2f}], p = {pair['p_holm']:.3g}: {pair['verdict']}"
        )
    return "\n".join(lines)


def flat(metrics: dict[str, Any]) -> dict[str, float]:
    """Means, differences, intervals and p-values under dotted names, for MLflow.

    Names are the same for every head and stage; `<stage>.` alone is spinal minus dense.
    """
    values: dict[str, float] = {}
    for name, model in metrics["models"].items():
        values[f"{name}.test_accuracy"] = model["accuracy"]["mean"]
        values[f"{name}.test_loss"] = model["loss"]["mean"]
        values[f"{name}.calibration_error"] = model["calibration_error"]["mean"]
        values[f"{name}.validation_accuracy"] = model["validation_accuracy"]["mean"]
        values[f"{name}.latency_ms"] = model["latency_ms"]
    pairs = dict(metrics["comparisons"])
    for stage, compared in metrics["pairs"].items():
        pairs |= {f"{stage}.{pair}": each for pair, each in compared.items()}
    for name, pair in pairs.items():
        values[f"{name}.accuracy_difference"] = pair["accuracy_difference"]
        values[f"{name}.ci95_low"], values[f"{name}.ci95_high"] = pair["ci95"]
        values[f"{name}.p_value"] = pair["p_value"]
        values[f"{name}.p_holm"] = pair["p_holm"]
    return values


def of_seed(metrics: dict[str, Any], model: str, seed: int) -> dict[str, float]:
    """Test metrics of one training, under the names that its MLflow run shows.

    Args:
        metrics: from `comparison.summarise`.
        model: `<stage>-<head>`.
        seed: of the training.
    """
    whole = metrics["models"][model]
    position = whole["seeds"].index(seed)
    keys = ["accuracy", *(key for key in whole if key.startswith("top")), "loss"]
    return {f"test_{key}": whole[key]["runs"][position] for key in (*keys, "calibration_error")}


def short(metrics: dict[str, Any]) -> dict[str, dict[str, float]]:
    """The numbers that people compare between experiments with `dvc metrics` and `dvc exp show`.

    For each stage: the mean test accuracy of each head, `difference` (spinal minus dense, where
    there are both) with `p_holm`, and each head's mean validation accuracy, `<head>_validation`,
    for choosing between experiments. Shares, 0…1, rounded. Nothing that varies from run to run,
    such as latency.
    """
    by_stage: dict[str, dict[str, float]] = {}
    for stage in stages(metrics):
        models = heads(metrics, stage)
        numbers = {head: round(each["accuracy"]["mean"], DIGITS) for head, each in models.items()}
        if pair := metrics["comparisons"].get(stage):
            numbers["difference"] = round(pair["accuracy_difference"], DIGITS) + 0.0
            numbers["p_holm"] = float(f"{pair['p_holm']:.3g}")
        for head, each in models.items():
            numbers[f"{head}_validation"] = round(each["validation_accuracy"]["mean"], DIGITS)
        by_stage[stage] = numbers
    return by_stage
