"""A pretrained network with a new head: drawings in, logits out."""

from __future__ import annotations

from typing import Any

import keras

from quickspine.nets.backbones.layers.head_builder import build_head
from quickspine.params import Finetune


def front(shape: tuple[int, int, int], image_size: int) -> keras.Model:
    """What stands before the backbone: uint8 [-1, *shape] to RGB float32 [-1, size, size, 3].

    Values stay 0 to 255; a grey drawing gets three equal channels.
    """
    inputs = keras.Input(shape, dtype="uint8", name="drawing")
    # Resizing gives back the type it got: from uint8 it would cut every value to a whole number.
    values = keras.layers.Rescaling(1.0, dtype="float32", name="values")(inputs)
    resize = keras.layers.Resizing(image_size, image_size, interpolation="bilinear", name="resize")
    values = resize(values)
    if shape[2] == 1:
        values = keras.layers.Concatenate(name="colour")([values, values, values])
    return keras.Model(inputs, values, name="front")


def head_on(
    features: Any, params: Finetune, head: str, classes: int, seed: int
) -> keras.layers.Layer:
    """The head `head`, built for `features` [-1, F]; initial weights as in PyTorch."""
    layer = build_head(head, params, classes, seed=seed, initialisation="pytorch")
    layer.build(features.shape)
    return layer


def assemble(front: keras.Model, backbone: keras.Model, head: keras.layers.Layer) -> keras.Model:
    """One model from uint8 drawings to logits; the backbone's normalisation stays as it is."""
    features = backbone(front.outputs[0], training=False)
    return keras.Model(front.inputs[0], head(features), name=f"{backbone.name}_finetuned")
