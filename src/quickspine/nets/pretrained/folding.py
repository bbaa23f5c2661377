"""Folds frozen batch normalisation into the convolutions before it, to extract features fast.

Keras composes normalisation of passes over the whole map; folded, a convolution, its bias and its
activation become one operation. Measured on two cores: EfficientNet-Lite0's trunk at 64 and 96
pixels is 1.4 times as fast in float32, 3 times in bfloat16.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import keras
import numpy as np
from keras import layers

from quickspine.nets.pretrained.blocks import nodes, uses

CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D)


def fold(model: keras.Model) -> keras.Model:
    """A model that computes what `model` does with `training=False`, with fewer operations.

    Only a normalisation that directly follows a convolution without activation is folded; all
    other layers are shared with `model`, which does not change. Later changes to its
    convolutions or normalisations do not reach the folded model: fold what stays frozen.

    Args:
        model: a functional model with one input and one output.

    Returns:
        A functional model whose outputs differ by rounding only.
    """
    renewed, dropped = {}, set()
    for convolution, normalisation in _pairs(model):
        renewed[convolution] = _folded(convolution, normalisation)
        dropped.add(normalisation)

    def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
        return args[0] if operation in dropped else operation(*args, **kwargs)

    return keras.models.clone_model(
        model, clone_function=lambda old: renewed.get(old, old), call_function=call
    )


def _pairs(model: keras.Model) -> list[tuple[Any, Any]]:
    """Each convolution, called once, whose only reader is a normalisation, called once."""
    calls = Counter(node.operation for node in nodes(model))
    makers = {id(tensor): node.operation for node in nodes(model) for tensor in node.output_tensors}
    used = uses(model)
    pairs = []
    for node in nodes(model):
        second = node.operation
        if type(second) is not layers.BatchNormalization or calls[second] > 1:
            continue
        tensor = node.input_tensors[0]
        first = makers[id(tensor)]
        if (
            type(first) in CONVOLUTIONS
            and calls[first] == used[id(tensor)] == 1
            and first.activation is keras.activations.linear
            and first.data_format == "channels_last"
            and second.axis in (-1, 3)
        ):
            pairs.append((first, second))
    return pairs


def _folded(convolution: Any, normalisation: Any) -> Any:
    """A convolution with bias that equals both."""
    *kernels, bias = convolution.get_weights() + [0.0] * (not convolution.use_bias)
    gamma, beta, mean, variance = _float64(normalisation)
    scale = gamma / np.sqrt(variance + normalisation.epsilon)
    if type(convolution) is layers.DepthwiseConv2D:  # height, width, channels, multiplier
        kernels[-1] = kernels[-1] * scale.reshape(kernels[-1].shape[2:])
    else:  # …, output channels
        kernels[-1] = kernels[-1] * scale
    folded = type(convolution).from_config({**convolution.get_config(), "use_bias": True})
    folded.build(convolution.input.shape)
    folded.set_weights([*kernels, beta + (bias - mean) * scale])
    return folded


def _float64(normalisation: Any) -> list[Any]:
    """Gamma, beta, mean and variance; ones and zeros stand for those that it does without."""
    parts = (
        (normalisation.gamma, 1.0),
        (normalisation.beta, 0.0),
        (normalisation.moving_mean, 0.0),
        (normalisation.moving_variance, 1.0),
    )
    return [
        np.float64(default) if weight is None else weight.numpy().astype(np.float64)
        for weight, default in parts
    ]
