"""Multiply-adds against the paper's counts and against counting by hand."""

from __future__ import annotations

import keras
import pytest

from quickspine.evaluation.flops import multiplications, products
from quickspine.nets.backbones import classifier
from quickspine.params import Params


def test_every_kind_of_convolution_is_counted() -> None:
    inputs = keras.Input((6, 5, 4))
    maps = keras.layers.Conv2D(8, 3, padding="same", groups=2)(inputs)  # 30 positions, 3·3·2 in
    maps = keras.layers.DepthwiseConv2D(3, depth_multiplier=2)(maps)  # 4 × 3, 16 out of 3·3 each
    maps = keras.layers.SeparableConv2D(5, 2)(maps)  # 3 × 2: 16 of 2·2, then 16 → 5
    maps = keras.layers.Dense(7)(maps)  # at each of 6 positions
    outputs = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(maps))
    assert products(keras.Model(inputs, outputs)) == [
        30 * 18 * 8,
        12 * 9 * 16,
        6 * 4 * 16,
        6 * 16 * 5,
        6 * 5 * 7,
        7 * 3,
    ]


def test_a_network_inside_a_network_counts_once() -> None:
    inner_input = keras.Input((8, 8, 3))
    inner = keras.Model(inner_input, keras.layers.Conv2D(4, 3)(inner_input))
    inner(keras.Input((8, 8, 3)))  # used elsewhere too
    outer_input = keras.Input((8, 8, 3))
    outer = keras.Model(outer_input, keras.layers.Flatten()(inner(outer_input)))
    assert multiplications(outer) == 36 * 27 * 4


@pytest.mark.parametrize("head", ["linear", "dense", "matched", "spinal", "progressive"])
def test_a_whole_network_is_its_backbone_and_its_head(params: Params, head: str) -> None:
    model = classifier.build(params.train, head, classes=24, seed=1, shape=(28, 28, 1))
    plain = classifier.build(params.train, "linear", classes=24, seed=1, shape=(28, 28, 1))
    backbone = multiplications(plain) - 64 * 24
    own = multiplications(model.get_layer("head"))
    assert multiplications(model) == backbone + own
    weights = [layer for layer in model.get_layer("head").trainable_weights if layer.ndim == 2]
    assert own == sum(weight.shape[0] * weight.shape[1] for weight in weights)
