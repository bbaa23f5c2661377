"""What a network has to compute, counted from the model itself: its multiply-adds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

import keras


@dataclass(frozen=True)
class Product:
    """One layer as a product of matrices: for a drawing [positions, fan_in] × [fan_in, units].

    Attributes:
        name: of the layer.
        positions: of its output map; 1 of a linear layer.
        fan_in: products that are summed for one output.
        units: outputs at a position.
    """

    name: str
    positions: int
    fan_in: int
    units: int

    @property
    def multiply_adds(self) -> int:
        """Of one drawing, forward."""
        return self.positions * self.fan_in * self.units

    @property
    def outputs(self) -> int:
        """How many numbers it makes of one drawing."""
        return self.positions * self.units


def products(model: keras.Model) -> list[Product]:
    """The convolutions and linear layers of a model, in its order."""
    found = []
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, keras.layers.Conv2D):
            positions = prod(layer.output.shape[1:-1])
        elif isinstance(layer, keras.layers.Dense):
            positions = 1  # of flat features
        else:
            continue
        *inputs, units = layer.kernel.shape
        found.append(Product(layer.name, positions, prod(inputs), units))
    return found


def training_multiply_adds(layers: Iterable[Product]) -> int:
    """Of one drawing's step: forward, for the weights' gradients, and for those of the inputs.

    The drawing itself needs no gradient: the first layer goes without the last of the three.
    """
    first, *others = layers
    return 2 * first.multiply_adds + 3 * sum(layer.multiply_adds for layer in others)


# How often an output of a convolution must cross the memory at least, where it is too large for
# the caches and normalisation looks at a whole batch before it changes anything: written by the
# convolution, read and written by normalisation with ReLU, read by the next layer; the gradient
# the same way back; and for the gradients both the output and its normalised form again.
CROSSINGS = 10


def training_bytes(layers: Iterable[Product], number_bytes: int) -> int:
    """Bytes that a drawing's step moves at least, were everything else fused into convolutions."""
    maps = sum(layer.outputs for layer in layers if layer.positions > 1)
    return CROSSINGS * maps * number_bytes
