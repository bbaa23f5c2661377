"""Every backbone under a head: two steps of training, a file, and the same answers from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import keras
import numpy as np
import pytest
import tensorflow as tf

from quickspine.evaluation import flops, predict
from quickspine.nets import sizes
from quickspine.nets.backbones import classifier
from quickspine.params import Backbone, Head, Params
from quickspine.training import model_file
from quickspine.training.devices import Device
from quickspine.training.optimizers import adam
from quickspine.training.step import compiled_step

BACKBONES: tuple[str, ...] = get_args(Backbone)
HEADS: tuple[str, ...] = get_args(Head)
UNDER_EVERY_HEAD = ("cnn", "resnet18")


@pytest.fixture
def _eager() -> Iterator[None]:
    """The project's own step without compiling it: a graph takes a hundred times its two steps."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.usefixtures("_eager")
@pytest.mark.parametrize(
    "backbone",
    [name if name == "cnn" else pytest.param(name, marks=pytest.mark.slow) for name in BACKBONES],
)
def test_it_trains_saves_loads_and_answers_the_same(
    backbone: str, make_params: Callable[..., Params], cpu: Device, tmp_path: Path
) -> None:
    side = max(9, sizes.smallest_side(backbone))
    width = 0.4 if backbone == "cnn" else 0.02  # half of its few channels are dropped
    chosen = {"backbone": backbone, "width": width, "dropout": 0.2, "dense_width": [6, 5]}
    train = make_params({f"train.{key}": value for key, value in chosen.items()}).train
    random = np.random.default_rng(0)
    drawings = random.integers(0, 256, (6, side, side, 3), np.uint8)
    batch = tf.constant(drawings), tf.constant(random.integers(0, 3, 6))

    def build(head: str) -> keras.Model:
        return classifier.build(train, head, classes=3, seed=1, shape=(side, side, 3))

    for head in HEADS if backbone in UNDER_EVERY_HEAD else ("spinal",):
        model = build(head)
        optimizer = adam(0.01)
        optimizer.build(model.trainable_variables)
        before = [weight.numpy() for weight in model.trainable_variables]
        step = compiled_step(model, optimizer, cpu)
        for _ in range(2):
            loss, _, total = step(batch)
            assert np.isfinite(loss)
            assert total == 6
        moved = [
            not np.array_equal(weight, old)
            for weight, old in zip(model.trainable_variables, before, strict=True)
        ]
        assert np.mean(moved) > 0.5, head
        model_file.save(model, tmp_path / "model.keras")
        loaded = model_file.load(tmp_path / "model.keras")
        np.testing.assert_array_equal(loaded(drawings).numpy(), model(drawings).numpy())
        if head == "spinal":  # built anew, as a training does for its file: equal to the byte
            again = build(head)
            again.set_weights(model.get_weights())
            model_file.save(again, tmp_path / "again.keras")
            files = [tmp_path / f"{name}.keras" for name in ("again", "model")]
            assert files[0].read_bytes() == files[1].read_bytes()
        assert model_file.parameters(loaded) == model_file.parameters(model)
        assert flops.multiplications(loaded) == flops.multiplications(model)
        assert predict.memory(loaded) == predict.memory(model)
    keras.utils.clear_session()
