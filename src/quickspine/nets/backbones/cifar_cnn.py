"""The paper's plain network for 32×32 photographs."""

from __future__ import annotations

from typing import Any

import keras

from quickspine.nets.backbones.blocks import Layers, relu

BLOCKS = ((32, 64), (128, 128), (256, 256))  # filters at width 1
DROPOUT = 0.05  # of channels, after the second block


def cifar_cnn(inputs: Any, **start: Any) -> Any:
    """Six 3×3 convolutions in three pooled blocks; the first of each block is normalised.

    The "CNN dropout" of the authors' CIFAR scripts (arXiv 2007.03347, section IV).

    Args:
        inputs: float [-1, height, width, channels], sides of at least 8 pixels.
        start: see `Layers`.

    Returns:
        float [-1, height // 8, width // 8, 256 · width]: 4,096 features of 32×32 pixels.
    """
    layers = Layers("cifar_cnn", inputs, he=False, **start)
    values = inputs
    for block, (first, second) in enumerate(BLOCKS, start=1):
        one, two = f"block{block}_conv1", f"block{block}_conv2"
        values = relu(layers.normalised(values, layers.filters(first), one), one)
        values = relu(layers.convolution(values, layers.filters(second), 3, two), two)
        values = keras.layers.MaxPooling2D(name=f"block{block}_pool")(values)
        if block == 2:
            values = layers.dropout(values, DROPOUT, f"block{block}_dropout")
    return values
