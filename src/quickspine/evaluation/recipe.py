"""How a network was trained, in words: optimizer, schedule, augmentation, blocks."""

from __future__ import annotations

from quickspine.evaluation.numbers import SPACE, several
from quickspine.params import Augment, Finetune, OptimizerConfig, Train


def descent(params: OptimizerConfig, rate: float) -> str:
    """Such as "Adam at 0.003 (cosine)"."""
    names = {"adam": "Adam", "sgd": "SGD"}
    momentum = f" with momentum {params.momentum:g}" if params.optimizer == "sgd" else ""
    return f"{names[params.optimizer]}{momentum} at {rate:g} ({schedule(params)})"


def schedule(params: OptimizerConfig) -> str:
    """The schedule's name, and what it does where that is no fixed course."""
    stairs, patience = params.step_epochs, params.plateau_patience
    every = f"every {stairs} epochs" if stairs > 1 else "every epoch"
    after = f"after {several(patience, 'epoch')} without a lower validation loss"
    told = {
        "step": f"step: times {params.step_factor:g} {every}",
        "plateau": f"plateau: times {params.plateau_factor:g} {after}",
        "random_restart": "random restart: drawn anew after each epoch without a lower loss",
    }
    return told.get(params.schedule, params.schedule)


def changes(augment: Augment) -> list[str]:
    """What happens to a training drawing, in the order of the params."""
    found = {
        f"turned by up to {augment.rotation:g}°": augment.rotation,
        f"moved by up to {100 * augment.shift:g}{SPACE}% of its side": augment.shift,
        f"made larger or smaller by up to {100 * augment.zoom:g}{SPACE}%": augment.zoom,
        f"its corners moved inward by up to {100 * augment.perspective:g}{SPACE}% of half its "
        f"side{_some(augment.perspective_probability)}": augment.perspective
        * augment.perspective_probability,
        f"cut to a part of at least {100 * augment.resized_crop:g}{SPACE}% of its area, shown at "
        "full size": augment.resized_crop < 1,
        f"moved by up to {several(augment.crop, 'whole pixel')} each way": augment.crop,
        f"mirrored{_some(0.5)}": augment.flip,
    }
    return [words for words, amount in found.items() if amount]


def _some(share: float) -> str:
    return "" if share == 1 else f" (for {100 * share:g}{SPACE}% of the drawings)"


def blocks(params: Finetune) -> str:
    """What of the backbone the second phase trained."""
    if params.unfrozen_blocks == "all":
        return "all blocks (without their normalisation)"
    return f"the last {several(params.unfrozen_blocks, 'block').replace('one ', '')}"


def seen(train: Train) -> list[str]:
    """What heads see of the backbone, where that is not all of its map: a sentence each."""
    words = {
        "map": [],
        "average": ["Heads see the average of each channel."],
        "maximum": ["Heads see the largest value of each channel."],
        "paper": [
            "As in the paper's code, heads do not see the same: spinal and progressive ones see "
            "the whole map, the others the largest value of each channel, so that a difference may "
            "be one of features."
        ],
    }[train.features]
    if train.spinal_input == "cells":
        words.append("Each sub-layer of the spinal head sees one cell of the map.")
    return words


def started(tuned: Finetune) -> list[str]:
    """What must be known of the backbone that fine-tuning began with: a sentence each."""
    if tuned.weights != "none":
        return []
    return ["The backbone began with random weights: this says nothing about pretrained networks."]
