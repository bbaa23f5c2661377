from __future__ import annotations

import keras
import pytest

from quickspine.bench import trainer
from quickspine.bench.work import CROSSINGS, training_bytes, training_multiply_adds
from quickspine.evaluation.flops import products
from quickspine.params import Params


def test_a_network_small_enough_to_count() -> None:
    inputs = keras.Input((6, 5, 2))
    maps = keras.layers.Conv2D(7, 3, padding="same")(inputs)  # 30 positions, 18 in
    maps = keras.layers.Conv2D(4, 3, strides=2)(maps)  # 2 × 2 positions, 63 in
    outputs = keras.layers.Dense(3)(keras.layers.Flatten()(maps))  # 16 in
    first, second, last = 30 * 18 * 7, 4 * 63 * 4, 16 * 3
    layers = products(keras.Model(inputs, outputs))
    assert [layer.multiply_adds for layer in layers] == [first, second, last]
    # The first layer's input is the drawing: nobody asks for its gradient.
    assert training_multiply_adds(layers) == 2 * first + 3 * (second + last)
    assert training_bytes(layers, 2) == CROSSINGS * 2 * (30 * 7 + 4 * 4)


@pytest.mark.parametrize("width", [0.25, 1.0])
def test_vgg5_with_its_head(params: Params, width: float) -> None:
    c1, c2, c3 = (round(filters * width) for filters in (64, 128, 256))
    convolutions = (
        28**2 * 9 * (1 * c1 + c1 * c1)
        + 14**2 * 9 * (c1 * c2 + c2 * c2)
        + 7**2 * 9 * (c2 * c3 + 2 * c3 * c3)
        + 3**2 * 9 * 3 * c3 * c3
    )
    half = c3 // 2
    head = half * half + 3 * 2 * half * half + 4 * half * trainer.CLASSES
    train = params.train.model_copy(update={"width": width})
    found = products(trainer.build(train, "spinal"))
    assert sum(layer.multiply_adds for layer in found) == convolutions + head
