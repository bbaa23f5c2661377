"""What a step of training has to compute and to move, counted from the layers of the model."""

from __future__ import annotations

from collections.abc import Iterable

from quickspine.evaluation.flops import Product


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
