"""Whole networks from random weights: one backbone, whatever the head."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import keras
import numpy as np
import pytest

from quickspine.nets.backbones import classifier
from quickspine.params import Head, Params, Train

HEADS: tuple[str, ...] = get_args(Head)


@pytest.fixture(scope="module")
def train(make_params: Callable[..., Params]) -> Train:
    return make_params({"train.width": 0.05, "train.dropout": 0.5}).train


def network(train: Train, head: str, seed: int = 1, classes: int = 3) -> keras.Model:
    return classifier.build(train, head, classes=classes, seed=seed, shape=(16, 16, 1))


def backbone(model: keras.Model) -> list[tuple[str, bytes]]:
    layers = [layer for layer in model.layers if layer.name != "head"]
    return [(w.path, w.numpy().tobytes()) for layer in layers for w in layer.weights]


def test_the_backbone_starts_equal_bit_for_bit_under_every_head(train: Train) -> None:
    starts = [backbone(network(train, head)) for head in HEADS]
    assert len(starts[0]) == 10 * 6
    assert all(start == starts[0] for start in starts)


def test_drawings_are_uint8_and_logits_float32(train: Train) -> None:
    model = network(train, "spinal", classes=5)
    assert model.input_shape == (None, 16, 16, 1)
    assert model.inputs[0].dtype == "uint8"
    drawings = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 1), np.uint8)
    logits = model(drawings).numpy()
    assert logits.shape == (4, 5)
    assert logits.dtype == np.float32
    assert logits.min() < 0 < logits.max()  # no softmax inside


def test_pixels_reach_the_backbone_between_zero_and_one(train: Train) -> None:
    model = network(train, "linear")
    inner = keras.Model(model.input, model.get_layer("rescale").output)
    drawing = np.full((1, 16, 16, 1), 255, np.uint8)
    np.testing.assert_allclose(inner(drawing), np.ones((1, 16, 16, 1)), rtol=1e-6)
