"""The paper's own residual networks, for 32×32 photographs: half as wide as the usual ones."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras

from quickspine.nets.backbones.blocks import Layers, relu

FILTERS = (32, 64, 128, 256)  # of each stage, at width 1
BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}
DROPOUT = 0.02  # of channels, after the first convolution


def resnet(name: str, inputs: Any, **start: Any) -> Any:
    """A 3×3 convolution and four stages of residual blocks, each stage but the first halving.

    As in the authors' CIFAR scripts: shortcuts that change size or width are 3×3 convolutions,
    and no ReLU follows the addition. A 2×2 pooling makes of the last map, 4×4 for 32×32 pixels,
    the four cells that feed their spinal head. The largest value of each channel, which is what
    their dense head sees, is the same before and after it.

    Args:
        name: of `BLOCKS`.
        inputs: float [-1, height, width, channels], sides of at least 9 pixels.
        start: see `Layers`.

    Returns:
        float [-1, 2, 2, 256 · width] of 32×32 pixels.
    """
    layers = Layers(name, inputs, he=True, **start)
    values = relu(layers.normalised(inputs, layers.filters(FILTERS[0]), "stem", bias=False), "stem")
    values = layers.dropout(values, DROPOUT, "stem_dropout")
    for stage, (filters, count) in enumerate(zip(FILTERS, BLOCKS[name], strict=True), start=1):
        for block in range(1, count + 1):
            path = f"stage{stage}_block{block}"
            halves = stage > 1 and block == 1
            values = _block(layers, values, layers.filters(filters), path, halves=halves)
    return keras.layers.MaxPooling2D(name="pool")(values)


def _block(layers: Layers, values: Any, filters: int, path: str, *, halves: bool) -> Any:
    """Two convolutions, and what came in added to what they make."""
    first = f"{path}_conv1"
    shortcut = values
    if halves:
        shortcut = layers.halved(values, filters, f"{path}_shortcut")
        values = relu(layers.halved(values, filters, first), first)
    else:
        values = relu(layers.normalised(values, filters, first, bias=False), first)
    values = layers.normalised(values, filters, f"{path}_conv2", bias=False)
    return keras.layers.Add(name=f"{path}_add")([values, shortcut])


resnet18, resnet34 = (partial(resnet, name) for name in BLOCKS)
