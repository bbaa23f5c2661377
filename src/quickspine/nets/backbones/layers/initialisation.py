"""Initial weights: equal for equal (seed, layer), whatever else the network holds."""

from __future__ import annotations

import math
from typing import Any

import keras

from quickspine.dataset.records.seeds import derive


def linear(
    units: int, fan_in: int, name: str, seed: int, scheme: str, dtype: Any = None
) -> keras.layers.Dense:
    """A linear layer with seeded initial weights.

    Args:
        units: outputs.
        fan_in: inputs; PyTorch's bias needs it.
        name: of the layer; with `seed` it decides the initial weights.
        seed: of the whole network.
        scheme: "pytorch" draws kernel and bias from U(±1/√fan_in), as nn.Linear does;
            "keras" is Glorot's uniform kernel and a zero bias.
        dtype: of the layer, a name or a dtype policy; None takes the global policy.
    """
    kernel: Any
    bias: Any = "zeros"
    if scheme == "pytorch":
        limit = 1 / math.sqrt(fan_in)
        kernel = keras.initializers.RandomUniform(-limit, limit, seed=derive(seed, name, "kernel"))
        bias = keras.initializers.RandomUniform(-limit, limit, seed=derive(seed, name, "bias"))
    else:
        kernel = keras.initializers.GlorotUniform(seed=derive(seed, name, "kernel"))
    return keras.layers.Dense(
        units,
        kernel_initializer=kernel,
        bias_initializer=bias,
        name=name.rpartition("/")[2],
        dtype=dtype,
    )


def convolution(
    filters: int,
    size: int,
    name: str,
    seed: int,
    scheme: str,
    kind: type[keras.layers.Conv2D] = keras.layers.Conv2D,
    *,
    fan_in: int | None = None,
    padding: str = "same",
    **options: Any,
) -> keras.layers.Conv2D:
    """A convolution, padded to keep the size, with seeded initial weights.

    Args:
        filters: outputs at a position.
        size: of the kernel, either way.
        name: of the layer; with `seed` it decides the initial weights.
        seed: of the whole network.
        scheme: "pytorch", or "keras": Glorot's uniform kernel and a zero bias.
        kind: Keras' own, or one with the same weights.
        fan_in: for "pytorch". None: He's normal kernel by fan-out and a zero bias, as the paper's
            VGG-5 and ResNet code sets them. Inputs of one output: kernel and bias from
            U(±1/√fan_in), PyTorch's default, which the rest of the paper's code leaves.
        padding: "same" or "valid".
        options: further ones of Keras' layer.
    """
    chosen = derive(seed, name, "kernel")
    if scheme != "pytorch":
        options["kernel_initializer"] = keras.initializers.GlorotUniform(seed=chosen)
    elif fan_in is None:
        options["kernel_initializer"] = keras.initializers.VarianceScaling(
            2.0, "fan_out", "untruncated_normal", seed=chosen
        )
    else:
        limit = 1 / math.sqrt(fan_in)
        for part in ("kernel", "bias"):
            drawn = keras.initializers.RandomUniform(-limit, limit, seed=derive(seed, name, part))
            options[f"{part}_initializer"] = drawn
    return kind(filters, size, padding=padding, name=name.rpartition("/")[2], **options)
