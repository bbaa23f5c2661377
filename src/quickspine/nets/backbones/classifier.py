"""A whole network with random weights: drawings in, logits out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from quickspine.nets.backbones.cifar_cnn import cifar_cnn
from quickspine.nets.backbones.cnn import cnn
from quickspine.nets.backbones.densenet import densenet
from quickspine.nets.backbones.layers.convolution import TunedConvolution
from quickspine.nets.backbones.layers.head_block import ChainHead, HeadLayer, part_size
from quickspine.nets.backbones.layers.head_builder import build_head, head_class
from quickspine.nets.backbones.resnet import resnet18, resnet34
from quickspine.nets.backbones.vgg import vgg5, vgg11, vgg13, vgg16, vgg19
from quickspine.params import Train

BACKBONES: dict[str, Callable[..., Any]] = {
    "cnn": cnn,
    "cifar_cnn": cifar_cnn,
    "vgg5": vgg5,
    "vgg11": vgg11,
    "vgg13": vgg13,
    "vgg16": vgg16,
    "vgg19": vgg19,
    "resnet18": resnet18,
    "resnet34": resnet34,
    "densenet": densenet,
}


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
    features = select_features(maps, pooling(params.features, head_class(head)))
    layer = build_head(
        head,
        params,
        classes,
        seed=seed,
        initialisation=params.initialisation,
        cells=params.spinal_input == "cells",
        spinal_part=_spinal_part(params, maps, features),
    )
    return keras.Model(inputs, layer(features), name=f"{params.backbone}_{head}")


def _spinal_part(params: Train, maps: Any, features: Any) -> int | None:
    """Features that a spinal head's sub-layer sees; None where that is half of `features`."""
    shape = maps.shape if pooling(params.features, ChainHead) == "map" else features.shape
    part = part_size(shape, params.spinal_input == "cells")
    return None if part == part_size(features.shape, False) else part


def pooling(features: str, head: type[HeadLayer]) -> str:
    """Resolve `train.features` for a head: "map", "average" or "maximum".

    "paper" is what the authors' ResNet scripts do: their dense head sees the largest value of each
    channel, their spinal head the whole map, four times as many features. With the other three all
    heads see the same.
    """
    return head.paper_features if features == "paper" else features


def select_features(maps: Any, pooled: str) -> Any:
    """Give a head the map itself, or one number a channel.

    Args:
        maps: float [-1, height, width, channels]; [-1, features] stays as it is.
        pooled: "map", "average" or "maximum".

    Returns:
        `maps`, or float [-1, channels].
    """
    if pooled == "map" or len(maps.shape) == 2:
        return maps
    if pooled == "average":
        return keras.layers.GlobalAveragePooling2D(name="average")(maps)
    return keras.layers.GlobalMaxPooling2D(name="maximum")(maps)
