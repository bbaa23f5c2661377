"""evaluation/model-card.md: what the models are, what they are worth, and what they are not for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quickspine.dataset import SPLITS
from quickspine.evaluation import limits, numbers, recipe
from quickspine.evaluation.markdown import escape, listed, table
from quickspine.evaluation.numbers import SPACE, count, interval, points, several, spread
from quickspine.evaluation.pairing import is_open, stages, told
from quickspine.evaluation.wording import fitting
from quickspine.files import whole_file
from quickspine.params import DRAWN, Params

UNCHANGED = "Training drawings are shown as they are."


def write(place: Path, metrics: dict[str, Any], params: Params, digests: Mapping[str, str]) -> None:
    """Write the card, whole or not at all; the same inputs give the same bytes."""
    with whole_file(place) as partial:
        partial.write_text(text(metrics, params, digests), encoding="utf-8")


def text(metrics: dict[str, Any], params: Params, digests: Mapping[str, str]) -> str:
    """The card, in Markdown.

    Args:
        metrics: what `comparison.summarise` returned.
        params: those the models were trained with.
        digests: sha256 by name, of params, data and each model.
    """
    parts = {
        "What it is": _what(metrics),
        "Data": _data(metrics["data"]),
        "Training": _training(metrics, params),
        "Results": _results(metrics),
        "Limits": listed(limits.limits(metrics)),
        "What it must not be used for": listed(limits.not_for(metrics["data"])),
        "How to load one": _loading(metrics),
        "Digests": "sha256, to tell whether a file is the one that was measured.\n\n"
        + table(
            ["what", "digest"], [(escape(name), f"`{each}`") for name, each in digests.items()]
        ),
    }
    of = "drawings" if metrics["data"]["source"] in DRAWN else "images"
    whole = "\n".join(f"## {title}\n\n{part}" for title, part in parts.items())
    return f"# Model card: SpinalNet and dense heads on {of}\n\n{fitting(whole, metrics['data'])}"


def _what(metrics: dict[str, Any]) -> str:
    names = ", ".join(escape(name) for name in metrics["models"])
    categories, thing = len(metrics["data"]["categories"]), limits.thing(metrics["data"])
    return (
        f"Networks that answer which of {count(categories)} categories {thing} shows. They were "
        "trained to compare classification heads (the last layers of a network), not as products. "
        f"Models: {names}.\n"
    )


def _data(data: dict[str, Any]) -> str:
    kind = " (drawn by people)" if data["source"] in DRAWN else ""
    if data["synthetic"]:
        kind = " (**synthetic**: a program drew them, not people)"
    facts = [
        f"Source: {escape(data['source'])}{kind}.",
        *(f"Drawings for {_splits()[split]}: {count(data[split])}." for split in SPLITS),
        f"Licence: {escape(data['licence'])}",
        f"Attribution: {escape(data['attribution'])}",
        f"Categories: {', '.join(map(escape, data['categories']))}",
    ]
    return listed(facts)


def _splits() -> dict[str, str]:
    return {"train": "training", "validation": "validation", "test": "testing"}


def _training(metrics: dict[str, Any], params: Params) -> str:
    lines = [
        f"Heads: {', '.join(map(escape, params.heads))}; each was trained once with each of the "
        f"seeds {', '.join(map(str, params.seeds))}.",
    ]
    ways = {"train": _from_scratch, "finetune": _finetuned}
    lines += [ways[stage](params) for stage in stages(metrics)]
    lines.append(
        "Every choice (the best epoch, the learning rate) looked at validation drawings; the test "
        "drawings were answered once."
    )
    return listed(lines)


def _from_scratch(params: Params) -> str:
    train = params.train
    changed = ", ".join(recipe.changes(train.augment))
    return (
        f"{told('train')}: backbone {escape(train.backbone)} of width {train.width:g}, "
        f"{several(train.epochs, 'epoch')}, batches of {train.batch_size}, "
        f"{recipe.descent(train, train.learning_rate)}, dropout {train.dropout:g}. "
        + "".join(f"{words} " for words in recipe.seen(train))
        + (f"Each training drawing is changed at random: {changed}." if changed else UNCHANGED)
    )


def _finetuned(params: Params) -> str:
    tuned = params.finetune
    weights = {"imagenet": "ImageNet weights", "none": "random weights"}
    second = (
        f", then {several(tuned.epochs, 'epoch')} of the head and {recipe.blocks(tuned)} at "
        f"{tuned.learning_rate:g}"
    )
    after = second if tuned.epochs and tuned.unfrozen_blocks else ""
    untrained = "".join(f" {words}" for words in recipe.started(tuned))
    return (
        f"{told('finetune')}: {escape(tuned.backbone)} with "
        f"{weights.get(tuned.weights, 'weights from a file')}, drawings resized to "
        f"{tuned.image_size} pixels a side; {several(tuned.head_epochs, 'epoch')} of the head "
        f"alone, {recipe.descent(tuned, tuned.head_learning_rate)}"
        f"{after}; batches of {tuned.batch_size}, dropout {tuned.dropout:g}. "
        f"{UNCHANGED}{untrained}"
    )


def _results(metrics: dict[str, Any]) -> str:
    models = metrics["models"]
    top = next(key for key in next(iter(models.values())) if key.startswith("top"))
    k = top.removeprefix("top").removesuffix("_accuracy")
    head = ["model", "accuracy, %", f"95{SPACE}% interval", f"top-{k}, %", "ECE, points",
            "parameters", "of the head"]  # fmt: skip
    rows = [
        (
            escape(name),
            spread(model["accuracy"]),
            interval(model["accuracy"]["ci95"]),
            spread(model[top]),
            spread(model["calibration_error"]),
            count(model["parameters"]),
            count(model["head_parameters"]),
        )
        for name, model in models.items()
    ]
    return (
        f"On {count(metrics['data']['test'])} test drawings; ± is the standard deviation between "
        "seeds; ECE is the expected calibration error (0 is best).\n\n"
        + table(head, rows)
        + "\n"
        + listed(_verdicts(metrics))
    )


def _verdicts(metrics: dict[str, Any]) -> list[str]:
    """One line a pair of heads and stage."""
    lines = []
    for stage, pairs in metrics["pairs"].items():
        for pair, found in pairs.items():
            first, _, second = pair.partition("-")
            low, high = found["ci95"]
            line = (
                f"{stage}, {first} minus {second}: {points(found['accuracy_difference'])} points "
                f"[{points(low)}, {points(high)}], {numbers.p(found['p_holm'])} (Holm): "
                f"**{found['verdict']}**."
            )
            if is_open((first, second), found):
                line += f" To settle it: {found['needed']['words']}."
            lines.append(line)
    return lines or ["One head only, so nothing was compared."]


def _loading(metrics: dict[str, Any]) -> str:
    name, model = next(iter(metrics["models"].items()))
    shape = (1, *metrics["data"]["shape"])
    return (
        "```python\nimport keras\nimport numpy as np\n\nimport quickspine  # registers its layers\n"
        f'\nmodel = keras.saving.load_model("models/{name}-{model["seeds"][0]}/model.keras")\n'
        f"images = np.zeros({shape}, np.uint8)\n"
        "logits = model.predict(images)  # a column a category, in the order above\n```\n"
    )
