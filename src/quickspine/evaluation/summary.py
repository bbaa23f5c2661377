"""The result in words for the terminal, and in numbers for MLflow and DVC."""

from __future__ import annotations

from typing import Any

from quickspine.dataset import SPLITS

DIGITS = 5  # of a share: DVC shows as many


def words(metrics: dict[str, Any]) -> str:
    """The result in a few lines, for the terminal."""
    data = metrics["data"]
    kind = " (synthetic drawings)" if data["synthetic"] else ""
    counts = ", ".join(f"{data[split]} {split}" for split in SPLITS)
    lines = [f"{data['source']}{kind}, {len(data['categories'])} categories: {counts}"]
    for name, model in metrics["models"].items():
        accuracy, seeds = model["accuracy"], len(model["seeds"])
        of_seeds = f"± {accuracy['std']:.2%} of {seeds} seeds" if seeds > 1 else "of one seed"
        lines.append(
            f"  {name:<16} {accuracy['mean']:7.2%} {of_seeds}, {model['parameters']:,} parameters "
            f"(head {model['head_parameters']:,}), {model['latency_ms']:.2f} ms a drawing"
        )
    for stage, found in metrics["comparisons"].items():
        low, high = found["ci95"]
        lines.append(
            f"  {stage}: spinal - dense {found['accuracy_difference'] * 100:+.2f} points "
            f"[{low * 100:+.2f}, {high * 100:+.2f}], p = {found['p_holm']:.3g}: {found['verdict']}"
        )
    return "\n".join(lines)


def flat(metrics: dict[str, Any]) -> dict[str, float]:
    """Means, differences, intervals and p-values under dotted names, for MLflow.

    Names are the same for every head and stage; `<stage>.` alone is spinal minus dense.
    """
    found: dict[str, float] = {}
    for name, model in metrics["models"].items():
        found[f"{name}.test_accuracy"] = model["accuracy"]["mean"]
        found[f"{name}.test_loss"] = model["loss"]["mean"]
        found[f"{name}.calibration_error"] = model["calibration_error"]["mean"]
        found[f"{name}.validation_accuracy"] = model["validation_accuracy"]["mean"]
        found[f"{name}.latency_ms"] = model["latency_ms"]
    pairs = dict(metrics["comparisons"])
    for stage, compared in metrics["pairs"].items():
        pairs |= {f"{stage}.{pair}": each for pair, each in compared.items()}
    for name, pair in pairs.items():
        found[f"{name}.accuracy_difference"] = pair["accuracy_difference"]
        found[f"{name}.ci95_low"], found[f"{name}.ci95_high"] = pair["ci95"]
        found[f"{name}.p_value"] = pair["p_value"]
        found[f"{name}.p_holm"] = pair["p_holm"]
    return found


def short(metrics: dict[str, Any]) -> dict[str, dict[str, float]]:
    """What a person compares between experiments: what `dvc metrics` and `dvc exp show` tell.

    Of each stage the mean test accuracy of each head, then `difference` (spinal minus dense, where
    there are both) and `p_holm`, then each head's mean accuracy on validation, `<head>_validation`:
    what a choice between experiments should look at. Shares, 0…1, rounded; nothing that changes
    from run to run by itself, such as latency.
    """
    found: dict[str, dict[str, float]] = {}
    of_validation: dict[str, dict[str, float]] = {}
    for name, model in metrics["models"].items():
        stage, _, head = name.partition("-")
        found.setdefault(stage, {})[head] = round(model["accuracy"]["mean"], DIGITS)
        validation = round(model["validation_accuracy"]["mean"], DIGITS)
        of_validation.setdefault(stage, {})[f"{head}_validation"] = validation
    for stage, comparison in metrics["comparisons"].items():
        found[stage]["difference"] = round(comparison["accuracy_difference"], DIGITS) + 0.0
        found[stage]["p_holm"] = float(f"{comparison['p_holm']:.3g}")
    return {stage: numbers | of_validation[stage] for stage, numbers in found.items()}
