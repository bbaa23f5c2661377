"""VGG: VGG-5, the paper's network for 28×28 pixels, and the four for 32×32 photographs."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras

from quickspine.nets.backbones.blocks import Layers, relu

# Filters at width 1 and convolutions of each block; a 2×2 pooling ends a block. VGG-5 stands in
# section 3 of the paper's supplement: 28 → 14 → 7 → 3 → 1. The others are configurations A, B, D
# and E of arXiv 1409.1556 for 32×32 pixels: 512 features after five poolings.
WIDTHS = (64, 128, 256, 512, 512)
BLOCKS: dict[str, tuple[tuple[int, int], ...]] = {
    "vgg5": ((64, 2), (128, 2), (256, 3), (256, 3)),
    "vgg11": tuple(zip(WIDTHS, (1, 1, 2, 2, 2), strict=True)),
    "vgg13": tuple(zip(WIDTHS, (2, 2, 2, 2, 2), strict=True)),
    "vgg16": tuple(zip(WIDTHS, (2, 2, 3, 3, 3), strict=True)),
    "vgg19": tuple(zip(WIDTHS, (2, 2, 4, 4, 4), strict=True)),
}


def vgg(name: str, inputs: Any, **start: Any) -> Any:
    """Blocks of 3×3 convolutions, each with batch normalisation and ReLU, and poolings.

    Args:
        name: of `BLOCKS`.
        inputs: float [-1, height, width, channels], sides of at least 16 pixels for VGG-5 and of
            32 for the others.
        start: see `Layers`. The paper's code starts VGG-5 as He does, the others as PyTorch does.

    Returns:
        float [-1, height // 16, width // 16, 256 · width] of VGG-5, else
        [-1, height // 32, width // 32, 512 · width].
    """
    layers = Layers(name, inputs, he=name == "vgg5", **start)
    values = inputs
    for block, (filters, count) in enumerate(BLOCKS[name], start=1):
        for index in range(1, count + 1):
            path = f"block{block}_conv{index}"
            values = relu(layers.normalised(values, layers.filters(filters), path), path)
        values = keras.layers.MaxPooling2D(name=f"block{block}_pool")(values)
    return values


vgg5, vgg11, vgg13, vgg16, vgg19 = (partial(vgg, name) for name in BLOCKS)
