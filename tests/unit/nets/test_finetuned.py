"""A pretrained network and a head, put together."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from quickspine.nets.pretrained import classifier
from quickspine.params import Params


def drawings(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.fixture
def backbone() -> keras.Model:
    """A tiny one with what real ones have: normalisation and dropout."""
    inputs = keras.Input((8, 8, 3))
    values = keras.layers.Conv2D(6, 3, strides=2, use_bias=False)(inputs)
    values = keras.layers.BatchNormalization()(values)
    values = keras.layers.Dropout(0.5, seed=1)(values)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(values), name="tiny")


@pytest.mark.parametrize("channels", [1, 3])
def test_colours_are_three_with_the_values_of_the_drawing(channels: int) -> None:
    images = drawings(2, 8, 8, channels)
    values = classifier.front((8, 8, channels), 8)(images).numpy()
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, np.repeat(images, 3 // channels, axis=3), atol=1e-4)


def test_drawings_are_resized_within_their_range() -> None:
    values = classifier.front((6, 9, 1), 13)(np.full((1, 6, 9, 1), 255, np.uint8)).numpy()
    assert values.shape == (1, 13, 13, 3)
    np.testing.assert_allclose(values, 255, rtol=1e-5)


def test_resizing_does_not_cut_values_to_whole_numbers() -> None:
    images = np.zeros((1, 2, 2, 1), np.uint8)
    images[0, :, 1] = 1
    values = classifier.front((2, 2, 1), 4)(images).numpy()
    np.testing.assert_allclose(values[0, 0, :, 0], [0, 0.25, 0.75, 1])


def test_the_head_is_built_for_the_features_as_pytorch_would(
    backbone: keras.Model, make_params: Callable[..., Params]
) -> None:
    params = make_params({"finetune.dropout": 0.3, "finetune.spinal_width": 5}).finetune
    head = classifier.head_on(backbone.outputs[0], params, "spinal", 4, 1)
    assert head.built
    assert head.get_config()["dropout"] == 0.3
    assert head.spinal1.kernel.shape == (3, 5)
    assert np.abs(head.spinal1.kernel).max() <= 1 / np.sqrt(3)
    assert np.abs(head.spinal1.bias).max() > 0


def test_the_whole_is_front_backbone_and_head(
    backbone: keras.Model, make_params: Callable[..., Params]
) -> None:
    params = make_params({}).finetune
    front = classifier.front((6, 6, 1), 8)
    head = classifier.head_on(backbone.outputs[0], params, "dense", 4, 1)
    model = classifier.assemble(front, backbone, head)
    images = drawings(3, 6, 6, 1)
    expected = head(backbone(front(images), training=False), training=False)
    np.testing.assert_allclose(model(images, training=False), expected, rtol=1e-5, atol=1e-6)
    assert (model.input_shape, model.output_shape) == ((None, 6, 6, 1), (None, 4))
    assert model.inputs[0].dtype == "uint8"
    assert model.get_layer("head") is head
