"""Cuts a backbone into a frozen trunk and a trainable tail that share its layers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Literal

import keras
from keras import layers

from quickspine.errors import InputError

POOLINGS = (
    layers.AveragePooling2D,
    layers.GlobalAveragePooling2D,
    layers.GlobalMaxPooling2D,
    layers.MaxPooling2D,
)
NORMALISATIONS = (layers.BatchNormalization, layers.LayerNormalization)
ACTIVATIONS = (layers.Activation, layers.ReLU)


def split(
    backbone: keras.Model, unfrozen_blocks: int | Literal["all"]
) -> tuple[keras.Model, keras.Model]:
    """Cut `backbone` before its last blocks.

    A block ends where one tensor carries everything on, and a merge (Add, Concatenate, …) or a
    pooling made it; it holds at least one weight besides those of normalisation, which with
    `freeze_normalisation` would train nothing. So a residual block, a dense layer of a DenseNet or
    a stage of VGG is one; what has no merge belongs to the next block that has one.
    In a plain chain, such as MobileNet, a block ends at each activation.

    Train the tail after `freeze_normalisation`. Save the backbone, not the parts.

    Example:
        trunk, tail = split(build("efficientnet_lite0", "imagenet", 64), 2)
        maps = trunk(images, training=False)  # once
        freeze_normalisation(tail)
        features = tail(maps)  # at each step

    Args:
        backbone: a functional model with one input and one output.
        unfrozen_blocks: how many blocks the tail holds; with 0 it is the identity. With "all", or
            as many as there are, the trunk is.

    Returns:
        Trunk and tail; `tail(trunk(x))` is `backbone(x)`, bit for bit.

    Raises:
        InputError: if the backbone has fewer blocks.
    """
    ends = block_ends(backbone)
    if unfrozen_blocks == "all":
        unfrozen_blocks = len(ends)
    if unfrozen_blocks > len(ends):
        raise InputError(
            f"finetune.unfrozen_blocks: {unfrozen_blocks}; {backbone.name} has {len(ends)} blocks"
        )
    cut = [backbone.inputs[0], *ends][len(ends) - unfrozen_blocks]
    trunk = keras.Model(backbone.inputs[0], cut, name=f"{backbone.name}_trunk")
    if unfrozen_blocks == 0:
        features = keras.Input(batch_shape=cut.shape, dtype=cut.dtype, name="features")
        return trunk, keras.Model(features, features, name=f"{backbone.name}_tail")
    return trunk, keras.Model(cut, backbone.outputs[0], name=f"{backbone.name}_tail")


def freeze_normalisation(model: keras.Model) -> None:
    """Make normalisation keep the statistics of its pretraining, which small batches would spoil.

    `training=False` in the call does not do: a functional model that is called with
    `training=True` hands that on to the models inside it, whatever they were called with.
    """
    for layer in model._flatten_layers():
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = False


def block_ends(backbone: keras.Model) -> list[Any]:
    """The symbolic tensor at the end of each block of `backbone`; the last is its output."""
    ends = _ends(backbone, _merges_or_pools)
    if len(ends) == 1:
        ends = _ends(backbone, lambda node: isinstance(node.operation, ACTIVATIONS))
    return ends


def _merges_or_pools(node: Any) -> bool:
    # Any layer or operator that joins tensors, but for the gate of squeeze-and-excitation,
    # which multiplies in the middle of a block.
    merges = len({id(tensor) for tensor in node.input_tensors}) > 1
    gate = type(node.operation).__name__ == "Multiply"
    return (merges and not gate) or isinstance(node.operation, POOLINGS)


def _ends(backbone: keras.Model, closes: Callable[[Any], bool]) -> list[Any]:
    waiting = uses(backbone)  # uses of each tensor that are still to come
    live: set[int] = set()
    ends: list[Any] = []
    weights = 0  # since the last end
    for node in nodes(backbone):
        for tensor in node.input_tensors:
            waiting[id(tensor)] -= 1
            if not waiting[id(tensor)]:
                live.discard(id(tensor))
        live.update(id(tensor) for tensor in node.output_tensors)
        if not isinstance(node.operation, NORMALISATIONS):
            weights += len(getattr(node.operation, "weights", ()))
        if len(live) == 1 and closes(node):
            if not weights:  # nothing to train since the last end: that block reaches to here
                ends = ends[:-1]
            ends.append(node.output_tensors[0])
            weights = 0
    if ends and not weights:
        ends = ends[:-1]
    return [*ends, backbone.outputs[0]]


def nodes(model: keras.Model) -> list[Any]:
    """The calls that make up `model`, each after those that it needs; inputs first.

    A node has `operation`, `input_tensors` and `output_tensors`. Keras has no public name for
    them: `layer.output` knows a layer's first call only, and layers may be shared.
    """
    depths = model._nodes_by_depth
    return [node for depth in sorted(depths, reverse=True) for node in depths[depth]]


def uses(model: keras.Model) -> Counter[int]:
    """How often each tensor, by id, is used in `model`; its outputs count once more."""
    used = Counter(id(tensor) for tensor in model.outputs)
    used.update(id(tensor) for node in nodes(model) for tensor in node.input_tensors)
    return used
