"""Multiply-adds of a network, counted from its layers."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import keras


def multiplications(model: Any) -> int:
    """Multiply-adds of a model or layer for one image, forward, as the paper counts them.

    Convolutions and linear layers; normalisation, activations and pooling are left out.
    """
    return sum(products(model))


def products(model: Any) -> list[int]:
    """Multiply-adds of each convolution and linear layer, in the order of the model."""
    layers = model._flatten_layers(include_self=False)
    return [product for layer in layers for product in _of(layer)]


def _of(layer: keras.layers.Layer) -> Iterator[int]:
    """Positions of the output map × inputs that are summed for one output × outputs of each."""
    if isinstance(layer, keras.layers.SeparableConv2D):
        *window, channels, each = layer.depthwise_kernel.shape
        units = layer.pointwise_kernel.shape[-1]
        yield _positions(layer) * prod(window) * channels * each
        yield _positions(layer) * channels * each * units
    elif isinstance(layer, keras.layers.DepthwiseConv2D | keras.layers.Conv2D | keras.layers.Dense):
        yield _positions(layer) * prod(layer.kernel.shape)


def _positions(layer: keras.layers.Layer) -> int:
    """Positions of a layer's output map; 1 for a layer inside another, on flat features."""
    nodes = layer._inbound_nodes
    return prod(nodes[0].outputs[0].shape[1:-1]) if nodes else 1
