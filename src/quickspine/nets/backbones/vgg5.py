"""VGG-5: the paper's network for 28×28 drawings, digits and letters."""

from __future__ import annotations

from typing import Any

import keras

from quickspine.nets.initialisation import convolution
from quickspine.nets.normalisation import FusedBatchNormalization

# Filters at width 1 and convolutions of each block; a 2×2 pooling ends a block (section 3 of the
# paper's supplement): 28 → 14 → 7 → 3 → 1.
BLOCKS = ((64, 2), (128, 2), (256, 3), (256, 3))
SMALLEST_SIDE = 2 ** len(BLOCKS)


def vgg5(
    inputs: Any,
    *,
    width: float,
    initialisation: str,
    seed: int,
    kind: type[keras.layers.Conv2D] = keras.layers.Conv2D,
) -> Any:
    """Ten 3×3 convolutions, each with batch normalisation and ReLU, in four pooled blocks.

    Args:
        inputs: float [-1, height, width, channels], sides of at least 16 pixels.
        width: multiplies the filters; each block keeps at least one.
        initialisation: "pytorch" or "keras".
        seed: decides the initial weights, layer by layer.
        kind: of the convolutions.

    Returns:
        float [-1, height // 16, width // 16, 256 · width].
    """
    if min(inputs.shape[1:3]) < SMALLEST_SIDE:
        raise ValueError(f"vgg5 needs sides of at least {SMALLEST_SIDE}. Received: {inputs.shape}")
    values = inputs
    for block, (filters, count) in enumerate(BLOCKS, start=1):
        channels = max(1, round(filters * width))
        for index in range(1, count + 1):
            name = f"block{block}_conv{index}"
            path = f"vgg5/{name}"
            values = convolution(channels, 3, path, seed, initialisation, kind)(values)
            values = FusedBatchNormalization(name=f"{name}_norm")(values)
            values = keras.layers.ReLU(name=f"{name}_relu")(values)
        values = keras.layers.MaxPooling2D(name=f"block{block}_pool")(values)
    return values
