"""The paper's smallest network, for 28×28 digits and letters."""

from __future__ import annotations

from typing import Any

import keras

from quickspine.nets.backbones.blocks import Layers, relu


def cnn(inputs: Any, **start: Any) -> Any:
    """Two 5×5 convolutions without padding, each followed by a 2×2 pooling and ReLU.

    PyTorch's introductory network for MNIST, as arXiv 2007.03347 (section IV) takes it: half of
    the second convolution's channels are dropped in training, under every head.

    Args:
        inputs: float [-1, height, width, channels], sides of at least 16 pixels.
        start: see `Layers`.

    Returns:
        float [-1, 4, 4, 20 · width] of 28×28 pixels: the paper's 320 features.
    """
    layers = Layers("cnn", inputs, he=False, **start)
    values = layers.convolution(inputs, layers.filters(10), 5, "conv1", padding="valid")
    values = relu(keras.layers.MaxPooling2D(name="conv1_pool")(values), "conv1")
    values = layers.convolution(values, layers.filters(20), 5, "conv2", padding="valid")
    values = layers.dropout(values, 0.5, "conv2_dropout")
    return relu(keras.layers.MaxPooling2D(name="conv2_pool")(values), "conv2")
