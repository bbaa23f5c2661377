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
        accuracy = model["accuracy"]
        lines.append(
            f"  {name:<16} {accuracy['mean']:7.2%} ± {accuracy['std']:.2%} of "
            f"{len(accuracy['runs'])} seeds, {model['parameters']:,} parameters "
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
    """Means, differences and p-values under dotted names, for MLflow."""
    found: dict[str, float] = {}
    for name, model in metrics["models"].items():
        found[f"{name}.test_accuracy"] = model["accuracy"]["mean"]
        found[f"{name}.latency_ms"] = model["latency_ms"]
    for stage, comparison in metrics["comparisons"].items():
        found[f"{stage}.accuracy_difference"] = comparison["accuracy_difference"]
        found[f"{stage}.p_value"] = comparison["p_value"]
    return found


def short(metrics: dict[str, Any]) -> dict[str, dict[str, float]]:
    """What a person compares between experiments: what `dvc metrics` and `dvc exp show` tell.

    Of each stage the mean test accuracy of each head, then `difference` (spinal minus dense, where
    there are both) and its p-value, by the name that it has in `metrics`. Shares, 0…1, rounded;
    nothing that changes from run to run by itself, such as latency.
    """
    found: dict[str, dict[str, float]] = {}
    for name, model in metrics["models"].items():
        stage, _, head = name.partition("-")
        found.setdefault(stage, {})[head] = round(model["accuracy"]["mean"], DIGITS)
    for stage, comparison in metrics["comparisons"].items():
        found[stage]["difference"] = round(comparison["accuracy_difference"], DIGITS) + 0.0
        p_value = "p_holm" if "p_holm" in comparison else "p_value"
        found[stage][p_value] = float(f"{comparison[p_value]:.3g}")
    return found
