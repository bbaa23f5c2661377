"""Folded normalisation computes the same, and really is gone."""

import keras
import numpy as np
import pytest
from keras import layers

from quickspine.nets.pretrained import build
from quickspine.nets.pretrained.blocks import split
from quickspine.nets.pretrained.folding import fold


def images(side: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (3, side, side, 3)).astype("float32")


def normalisations(model: keras.Model) -> int:
    return sum(isinstance(layer, layers.BatchNormalization) for layer in model.layers)


def test_a_folded_trunk_computes_the_same() -> None:
    backbone = build("efficientnet_lite0", "imagenet", 64)
    trunk, _ = split(backbone, 2)
    folded = fold(trunk)
    assert normalisations(trunk) > 0
    assert normalisations(folded) == 0
    expected = np.array(trunk(images(64), training=False))
    np.testing.assert_allclose(folded(images(64)), expected, atol=1e-5 * abs(expected).max())
    np.testing.assert_array_equal(trunk(images(64), training=False), expected)


def test_a_trunk_of_nothing_folds_to_nothing() -> None:
    backbone = build("efficientnet_lite0", "none", 32)
    trunk, _ = split(backbone, 10)
    np.testing.assert_array_equal(fold(trunk)(images(32)), images(32))


@pytest.mark.parametrize("affine", [True, False])
def test_every_kind_of_convolution(affine: bool) -> None:
    keras.utils.set_random_seed(1)
    inputs = keras.Input((9, 9, 4))
    x = inputs
    for convolution in (
        layers.Conv2D(6, 3, groups=2),
        layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False),
        layers.SeparableConv2D(5, 3, depth_multiplier=2),
    ):
        x = layers.BatchNormalization(center=affine, scale=affine)(convolution(x))
    model = keras.Model(inputs, x)
    random = np.random.default_rng(1)
    model.set_weights([random.uniform(0.5, 2, w.shape) for w in model.get_weights()])
    values = random.normal(size=(2, 9, 9, 4)).astype("float32")
    folded = fold(model)
    assert normalisations(folded) == 0
    expected = np.array(model(values, training=False))
    np.testing.assert_allclose(folded(values), expected, rtol=1e-4, atol=1e-4)


def test_what_must_not_be_folded_is_kept() -> None:
    inputs = keras.Input((9, 9, 3))
    active = layers.BatchNormalization()(layers.Conv2D(4, 1, activation="relu")(inputs))
    forked = layers.Conv2D(4, 1)(inputs)
    both = layers.Add()([layers.BatchNormalization()(forked), forked])
    early = layers.BatchNormalization()(layers.ReLU()(both))
    model = keras.Model(inputs, layers.Add()([active, early]))
    random = np.random.default_rng(1)
    model.set_weights([random.uniform(0.5, 2, w.shape) for w in model.get_weights()])
    folded = fold(model)
    assert normalisations(folded) == 3
    values = images(9)
    np.testing.assert_array_equal(folded(values, training=False), model(values, training=False))
