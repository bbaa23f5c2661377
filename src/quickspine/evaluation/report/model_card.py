"""evaluation/model-card.md: what the models are, how they performed, and their limits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quickspine.evaluation.report.numbers import SPACE, several
from quickspine.evaluation.report.page import facts, template
from quickspine.files import whole_file
from quickspine.params import Augment, Finetune, OptimizerConfig, Params, Train

# All that can be markup inside a line, on GitHub too: ":" and "www." make links of addresses,
# "@" of names, "~" strikes out, "$" begins a formula.
MARKS = re.compile(r"([\\`*_{}\[\]<>#!|~&$@:^]|(?<=[wW])\.)")


def escape(value: object) -> str:
    """Escape Markdown: one line of text in which nothing is markup; not what is marked `safe`."""
    if hasattr(value, "__html__"):
        return str(value)
    return MARKS.sub(r"\\\1", " ".join(str(value).split()))


def write(place: Path, metrics: dict[str, Any], params: Params, digests: Mapping[str, str]) -> None:
    """Write the card, whole or not at all; the same inputs give the same bytes."""
    with whole_file(place) as partial:
        partial.write_text(render(metrics, params, digests), encoding="utf-8")


def render(metrics: dict[str, Any], params: Params, digests: Mapping[str, str]) -> str:
    """Render the card, in Markdown.

    Args:
        metrics: from `comparison.summarise`.
        params: those the models were trained with.
        digests: sha256 by name, of params, data and each model.
    """
    name, first = next(iter(metrics["models"].items()))
    train, tuned = params.train, params.finetune
    shared = facts(metrics)
    return template("model-card.md", escape).render(
        **shared,
        params=params,
        digests=digests,
        an="a" if shared["noun"] == "drawing" else "an",
        seeds=min(len(model["seeds"]) for model in metrics["models"].values()),
        first=f"{name}-{first['seeds'][0]}",
        several=several,
        recipe={
            "train": descent(train, train.learning_rate),
            "finetune": descent(tuned, tuned.head_learning_rate),
            "features": " ".join(features(train)),
            "start": " ".join(start(tuned)),
            "changes": ", ".join(changes(train.augment)),
            "blocks": blocks(tuned),
        },
    )


def descent(params: OptimizerConfig, rate: float) -> str:
    """Optimizer, learning rate and schedule: "Adam at 0.003 (cosine)"."""
    names = {"adam": "Adam", "sgd": "SGD"}
    momentum = f" with momentum {params.momentum:g}" if params.optimizer == "sgd" else ""
    step = params.step_epochs
    every = f"every {step} epochs" if step > 1 else "every epoch"
    after = f"after {several(params.plateau_patience, 'epoch')} without a lower validation loss"
    details = {
        "step": f"step: times {params.step_factor:g} {every}",
        "plateau": f"plateau: times {params.plateau_factor:g} {after}",
        "random_restart": "random restart: drawn anew after each epoch without a lower loss",
    }
    schedule = details.get(params.schedule, params.schedule)
    return f"{names[params.optimizer]}{momentum} at {rate:g} ({schedule})"


def changes(augment: Augment) -> list[str]:
    """Random changes to a training image, in the order of the params."""

    def chance(share: float) -> str:
        return "" if share == 1 else f" (for {100 * share:g}{SPACE}% of the images)"

    amounts = {
        f"rotated by up to {augment.rotation:g}°": augment.rotation,
        f"shifted by up to {100 * augment.shift:g}{SPACE}% of its side": augment.shift,
        f"zoomed in or out by up to {100 * augment.zoom:g}{SPACE}%": augment.zoom,
        f"its corners moved inward by up to {100 * augment.perspective:g}{SPACE}% of half its "
        f"side{chance(augment.perspective_probability)}": augment.perspective
        * augment.perspective_probability,
        f"cropped to at least {100 * augment.resized_crop:g}{SPACE}% of its area and resized": (
            augment.resized_crop < 1
        ),
        f"shifted by up to {several(augment.crop, 'whole pixel')} each way": augment.crop,
        f"mirrored{chance(0.5)}": augment.flip,
    }
    return [words for words, amount in amounts.items() if amount]


def blocks(params: Finetune) -> str:
    """The blocks of the backbone that the second phase trained."""
    if params.unfrozen_blocks == "all":
        return "all blocks (without their normalisation)"
    return f"the last {several(params.unfrozen_blocks, 'block').replace('one ', '')}"


def features(train: Train) -> list[str]:
    """Sentences on what heads see of the backbone's map, where that is not all of it."""
    words = {
        "map": [],
        "average": ["Heads see the average of each channel."],
        "maximum": ["Heads see the maximum of each channel."],
        "paper": [
            "As in the paper's code, heads do not see the same features: spinal and progressive "
            "ones see the whole map, the others the maximum of each channel, so that a difference "
            "may be one of features."
        ],
    }[train.features]
    if train.spinal_input == "cells":
        words.append("Each sub-layer of the spinal head sees one cell of the map.")
    return words


def start(tuned: Finetune) -> list[str]:
    """Sentences on the weights that fine-tuning began with, where they are not pretrained."""
    if tuned.weights != "none":
        return []
    return ["The backbone began with random weights: this says nothing about pretrained networks."]
