"""Any keras.applications model as a backbone, with the preprocessing that its family expects."""

from __future__ import annotations

import contextlib
import socket
import warnings
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import layers

from quickspine.errors import InputError
from quickspine.nets.pretrained import weights_file
from quickspine.nets.pretrained.catalogue import IMAGENET, NONE, find

PATIENCE_S = 30.0  # without a byte from the server; urllib alone would wait for ever

MEAN = np.array([0.485, 0.456, 0.406])  # of ImageNet's red, green and blue, from 0 to 1
DEVIATION = np.array([0.229, 0.224, 0.225])
CAFFE_MEAN = np.array([103.939, 116.779, 123.68])  # blue, green and red, from 0 to 255


def build(name: str, weights: str, image_size: int) -> keras.Model:
    """Build a keras.applications model without its top.

    Args:
        name: a function of keras.applications, such as "MobileNetV2".
        weights: "imagenet" (downloaded by Keras, and kept in its cache), "none" (random, by
            keras.utils.set_random_seed) or the path of a `.weights.h5` or `.h5` file of the same
            model without its top, such as those that Keras publishes.
        image_size: pixels a side.

    Returns:
        A model from float32 RGB [-1, image_size, image_size, 3], values 0 to 255, to float32
        features [-1, F], averaged over the last map.

    Raises:
        InputError: if the weights cannot be had or do not fit, or the images are too small.
    """
    shape = (image_size, image_size, 3)
    inputs = keras.Input(shape, dtype="float32", name="image")
    # The preprocessing holds no weights, so files saved from the bare model fit this one too.
    model = _application(name, weights, shape, preprocess(inputs, find(name).preprocessing))
    if weights not in (IMAGENET, NONE):
        weights_file.load(model, weights, name)
        _mend_variance(model)
    # float32 whatever the policy: what follows compares heads, not roundings.
    features = layers.GlobalAveragePooling2D(dtype="float32", name="features")(model.output)
    return keras.Model(inputs, features, name=name.lower())


def preprocess(images: Any, kind: str) -> Any:
    """What `preprocess_input` of a family does to images from 0 to 255, as stock layers.

    Args:
        images: float RGB [-1, height, width, 3], values 0 to 255.
        kind: "symmetric" (to −1…1), "torch" (by ImageNet's mean and deviation), "caffe" (BGR
            less its mean) or "none".

    Returns:
        A tensor of the same shape.
    """
    if kind == "symmetric":
        return layers.Rescaling(1 / 127.5, offset=-1.0, name="preprocess")(images)
    if kind == "torch":
        scale, offset = 1 / (255 * DEVIATION), -MEAN / DEVIATION
        return layers.Rescaling(scale.tolist(), offset.tolist(), name="preprocess")(images)
    if kind == "caffe":
        bgr = keras.ops.flip(images, axis=-1)
        return layers.Rescaling(1.0, offset=(-CAFFE_MEAN).tolist(), name="preprocess")(bgr)
    return images


def _application(name: str, weights: str, shape: tuple[int, int, int], x: Any) -> keras.Model:
    published = weights == IMAGENET
    try:
        with _patience(), warnings.catch_warnings():
            # The MobileNets say that their 224-pixel weights serve other sizes: wanted here.
            warnings.filterwarnings("ignore", message="`input_shape` is undefined or non-square")
            return getattr(keras.applications, name)(
                include_top=False,
                weights="imagenet" if published else None,
                input_tensor=x,
                input_shape=shape,
            )
    except Exception as error:  # Keras raises a bare Exception when a download fails
        reason = " ".join(str(error).split())[:300]
        if published:
            raise InputError(
                f"finetune.weights: imagenet weights of {name} cannot be had ({reason}); give a "
                "weights file as finetune.weights, or use finetune.backbone: efficientnet_lite0, "
                "which needs no network"
            ) from None
        raise InputError(
            f"finetune.image_size: {name} cannot be built for {shape[0]} pixels ({reason}); "
            "make it larger"
        ) from None


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE_S)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _mend_variance(model: keras.Model) -> None:
    """Square the standard deviations that stand for variances in EfficientNetB's published files.

    Keras makes up for them with one more layer, but only where it loads the weights itself
    (tensorflow/tensorflow issue 49930).
    """
    for layer in model.layers:
        if isinstance(layer, layers.Normalization) and layer.weights:
            mean, variance, count = layer.get_weights()
            if np.allclose(variance, DEVIATION, atol=1e-3):
                layer.set_weights([mean, variance**2, count])
                layer.finalize_state()
