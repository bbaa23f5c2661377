"""A whole network with random weights: drawings in, logits out."""

from __future__ import annotations

from typing import Any

import keras

from quickspine.nets import heads
from quickspine.nets.backbones import BACKBONES
from quickspine.nets.backbones.features import seen
from quickspine.nets.backbones.layers.convolution import TunedConvolution
from quickspine.nets.heads.spinal import part_size
from quickspine.params import Train


def build(
    params: Train,
    head: str,
    *,
    classes: int,
    seed: int,
    shape: tuple[int, int, int],
    tuned: bool = False,
) -> keras.Model:
    """A network of `train.backbone` and `head`.

    Args:
        params: the section `train`.
        head: one of the params' `heads`.
        classes: number of logits.
        seed: decides the initial weights; those of the backbone are equal for every head.
        shape: height, width and channels of a drawing.
        tuned: for training on a CPU in bfloat16; such a network is not for a file.

    Returns:
        A model from uint8 [-1, *shape] to float32 logits [-1, classes].
    """
    inputs = keras.Input(shape, dtype="uint8", name="drawing")
    values = keras.layers.Rescaling(1 / 255, name="rescale")(inputs)
    maps = BACKBONES[params.backbone](
        values,
        width=params.width,
        initialisation=params.initialisation,
        seed=seed,
        kind=TunedConvolution if tuned else keras.layers.Conv2D,
    )
    features = seen(maps, params.features, head)
    more = _more(params, head, maps, features)
    logits = heads.build(head, params, classes, seed, params.initialisation, **more)(features)
    return keras.Model(inputs, logits, name=f"{params.backbone}_{head}")


def _more(params: Train, head: str, maps: Any, features: Any) -> dict[str, Any]:
    """What a head must know of how the spinal head takes the map."""
    cells = params.spinal_input == "cells"
    if head == "spinal" and cells:
        return {"cells": True}
    if head == "matched":
        # The two may see different features.
        part = part_size(seen(maps, params.features, "spinal").shape, cells)
        if part != part_size(features.shape, False):
            return {"spinal_part": part}
    return {}
