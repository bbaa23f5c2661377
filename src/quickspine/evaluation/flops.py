"""Multiply-adds of a network, counted from its layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import keras


@dataclass(frozen=True)
class Product:
    """One layer as a product of matrices: for one image [positions, fan_in] × [fan_in, units].

    Attributes:
        name: of the layer.
        positions: of its output map; 1 for a linear layer on flat features.
        fan_in: inputs that are summed for one output.
        units: outputs at each position.
    """

    name: str
    positions: int
    fan_in: int
    units: int

    @property
    def multiply_adds(self) -> int:
        """Per image, forward."""
        return self.positions * self.fan_in * self.units

    @property
    def outputs(self) -> int:
        """Output values per image."""
        return self.positions * self.units


def products(model: Any) -> list[Product]:
    """The convolutions and linear layers of a model or layer, in its order."""
    layers = model._flatten_layers(include_self=False)
    return [product for layer in layers for product in _of(layer)]


def multiplications(model: Any) -> int:
    """Multiply-adds of a model or layer for one image, forward, as the paper counts them.

    Convolutions and linear layers; normalisation, activations and pooling are left out.
    """
    return sum(product.multiply_adds for product in products(model))


def _of(layer: keras.layers.Layer) -> Iterator[Product]:
    if isinstance(layer, keras.layers.SeparableConv2D):
        positions = _positions(layer)
        *window, channels, each = layer.depthwise_kernel.shape
        yield Product(f"{layer.name}/depthwise", positions, prod(window), channels * each)
        yield Product(layer.name, positions, channels * each, layer.pointwise_kernel.shape[-1])
    elif isinstance(layer, keras.layers.DepthwiseConv2D):
        *window, channels, each = layer.kernel.shape
        yield Product(layer.name, _positions(layer), prod(window), channels * each)
    elif isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
        *inputs, units = layer.kernel.shape
        yield Product(layer.name, _positions(layer), prod(inputs), units)


def _positions(layer: keras.layers.Layer) -> int:
    """Positions of a layer's output map; 1 for a layer inside another, on flat features."""
    nodes = layer._inbound_nodes
    return prod(nodes[0].outputs[0].shape[1:-1]) if nodes else 1
