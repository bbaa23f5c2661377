"""DenseNet: every layer sees what all layers before it in its block made; for 32×32 photographs."""

from __future__ import annotations

from typing import Any

import keras

from quickspine.nets.backbones.blocks import Layers, relu

GROWTH = 12  # filters that a layer adds, at width 1
BOTTLENECK = 4  # times the growth: what its 1×1 convolution makes for the 3×3 one
BLOCKS = 3


def densenet(inputs: Any, *, layers_a_block: int = 6, **start: Any) -> Any:
    """DenseNet-BC (arXiv 1608.06993, section 3): the small one, of 40 layers and growth 12.

    Three dense blocks; between them a 1×1 convolution halves the channels, an average pooling the
    sides; the last map is averaged. Its authors' smallest published network is that of 100 layers:
    16 a block. Work related to the paper, which reports no DenseNet of its own.

    Args:
        inputs: float [-1, height, width, channels], sides of at least 4 pixels.
        layers_a_block: 6 make 40 layers.
        start: see `Layers`.

    Returns:
        float [-1, F]; F is 132 at width 1.
    """
    layers = Layers("densenet", inputs, he=True, **start)
    growth = layers.filters(GROWTH)
    values = layers.convolution(inputs, 2 * growth, 3, "stem", bias=False)
    for block in range(1, BLOCKS + 1):
        for index in range(1, layers_a_block + 1):
            path = f"block{block}_layer{index}"
            values = _layer(layers, values, growth, path)
        if block < BLOCKS:
            path = f"transition{block}"
            values = relu(layers.norm(values, path), path)
            fewer = max(1, values.shape[-1] // 2)
            values = layers.convolution(values, fewer, 1, path, bias=False)
            values = keras.layers.AveragePooling2D(2, name=f"{path}_pool")(values)
    values = relu(layers.norm(values, "last"), "last")
    return keras.layers.GlobalAveragePooling2D(name="average")(values)


def _layer(layers: Layers, values: Any, growth: int, path: str) -> Any:
    """Normalisation and ReLU before a 1×1 and again before a 3×3 convolution, which adds to all."""
    narrow, wide = f"{path}_conv1", f"{path}_conv2"
    found = relu(layers.norm(values, narrow), narrow)
    found = layers.convolution(found, BOTTLENECK * growth, 1, narrow, bias=False)
    found = relu(layers.norm(found, wide), wide)
    found = layers.convolution(found, growth, 3, wide, bias=False)
    return keras.layers.Concatenate(name=f"{path}_joined")([values, found])
