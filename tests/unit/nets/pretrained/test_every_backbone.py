"""Every pretrained backbone trains with every head, is saved, loaded, and answers the same.

One of each family of keras.applications, with fewer blocks, and each with one of the heads.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.layers import BatchNormalization
from keras.src.applications import (
    convnext,
    densenet,
    efficientnet,
    efficientnet_v2,
    inception_resnet_v2,
    nasnet,
    resnet,
)

from quickspine.nets import allowed_classes
from quickspine.nets.pretrained import build, classifier
from quickspine.nets.pretrained.blocks import freeze_normalisation, split
from quickspine.nets.pretrained.catalogue import BACKBONES, find
from quickspine.nets.pretrained.folding import fold
from quickspine.params import Head, Params
from quickspine.training.devices import Device
from quickspine.training.model_file import load, save
from quickspine.training.step import compiled_step

HEADS = get_args(Head)
TRAINED = [
    "efficientnet_lite2",
    "ConvNeXtTiny",
    "DenseNet121",
    "EfficientNetB0",
    "EfficientNetV2B0",
    "MobileNet",
    "MobileNetV3Small",
    "ResNet50",
    "ResNet50V2",
]
# Of the others the configuration is read, as before a load; VGG16 and MobileNetV2 are saved and
# loaded in test_applications.
READ = [
    "InceptionV3",
    "InceptionResNetV2",
    "MobileNetV2",
    "NASNetMobile",
    "VGG16",
    "VGG19",
    "Xception",
]
SIDE, CLASSES = 8, 3


def slow_but(names: list[str], *quick: str) -> list[Any]:
    """Parameters of a test that is marked slow for all but a few."""
    slow = pytest.mark.slow
    return [name if name in quick else pytest.param(name, marks=slow) for name in names]


@pytest.fixture
def _with_fewer_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Backbones of the same layers in minutes less."""

    def change(module: Any, name: str, changed: Callable[..., Any]) -> None:
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, **k: changed(real, *a, **k))

    def once(real: Any, x: Any, scale: float, kind: str, number: int, **rest: Any) -> Any:
        return real(x, scale, kind, number, **rest) if number == 1 else x

    monkeypatch.setitem(convnext.MODEL_CONFIGS["tiny"], "depths", [1, 1, 1, 1])
    change(densenet, "DenseNet", lambda real, _, *a, **k: real([1, 2, 1, 1], *a, **k))
    change(efficientnet, "EfficientNet", lambda real, w, _, *a, **k: real(w, 0.01, *a, **k))
    change(
        efficientnet_v2,
        "EfficientNetV2",
        lambda real, **k: real(**{**k, "depth_coefficient": 0.01}),
    )
    change(nasnet, "NASNet", lambda real, *a, **k: real(*a, **{**k, "num_blocks": 1}))
    for version in ("v1", "v2"):
        change(
            resnet,
            f"stack_residual_blocks_{version}",
            lambda real, x, filters, _, **k: real(x, filters, 2, **k),
        )
    change(
        inception_resnet_v2,
        "inception_resnet_block",
        lambda real, x, scale, block_type, block_idx, **k: once(
            real, x, scale, block_type, block_idx, **k
        ),
    )


def family(name: str) -> str:
    """The module of keras.applications that a backbone comes from, or our own."""
    modules = vars(keras.applications).values()
    homes = [m.__name__ for m in modules if hasattr(m, "__path__") and hasattr(m, name)]
    return homes[0] if homes else find(name).module


def test_each_family_has_a_representative() -> None:
    assert {family(name) for name in BACKBONES} == {family(name) for name in (*TRAINED, *READ)}


def know_statistics(backbone: keras.Model, images: tf.Tensor) -> None:
    """Normalise as a trained network does: random weights alone let values fade to nothing."""
    norms = [layer for layer in backbone.layers if isinstance(layer, BatchNormalization)]
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    backbone(images, training=True)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.usefixtures("_with_fewer_blocks")
@pytest.mark.parametrize("name", slow_but(TRAINED, "MobileNet"))
def test_it_trains_two_steps_and_its_file_answers_the_same(
    name: str, make_params: Callable[..., Params], tmp_path: Path
) -> None:
    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    cpu = Device(tf.distribute.get_strategy(), "CPU", "float32", "float32", False, False)
    random = np.random.default_rng(1)
    images = random.integers(0, 256, (4, SIDE, SIDE, 3), np.uint8)
    labels = tf.constant([0, 1, 2, 0], tf.int64)
    params = make_params({"finetune.dense_width": 6, "finetune.spinal_width": 4}).finetune
    size = find(name).minimum
    backbone = build(name, "none", size)
    front = classifier.front((SIDE, SIDE, 3), size)
    know_statistics(backbone, front(images))
    trunk, tail = split(backbone, 1)
    maps = fold(trunk)(front(images), training=False)
    freeze_normalisation(tail)
    head = HEADS[TRAINED.index(name) % len(HEADS)]
    layer = classifier.head_on(backbone.outputs[0], params, head, CLASSES, 1)
    cut = keras.Input(tail.inputs[0].shape[1:])
    training = keras.Model(cut, layer(tail(cut)))
    both = (tail, layer)
    before = [[value.numpy() for value in part.trainable_variables] for part in both]
    step = compiled_step(training, keras.optimizers.Adam(0.01), cpu)
    losses = [float(step((maps, labels))[0]) for _ in range(2)]
    assert np.isfinite(losses).all()
    for part, old in zip(both, before, strict=True):
        pairs = zip(part.trainable_variables, old, strict=True)
        assert any((new.numpy() != value).any() for new, value in pairs), part.name
    model = classifier.assemble(front, backbone, layer)
    save(model, tmp_path / "model.keras")
    loaded = load(tmp_path / "model.keras")
    expected = model(images, training=False).numpy()
    np.testing.assert_array_equal(loaded(images, training=False), expected)
    assert np.isfinite(expected).all()
    assert expected.shape == (4, CLASSES)


@pytest.mark.usefixtures("_with_fewer_blocks")
@pytest.mark.parametrize("name", slow_but(READ, "VGG16", "MobileNetV2"))
def test_a_file_of_it_would_be_read(name: str) -> None:
    allowed_classes.check(json.loads(build(name, "none", find(name).minimum).to_json()))
