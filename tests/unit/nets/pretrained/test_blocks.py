"""The cut between a frozen trunk and a trainable tail."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from quickspine.errors import InputError
from quickspine.nets.pretrained import build
from quickspine.nets.pretrained.blocks import block_ends, split
from quickspine.nets.pretrained.folding import fold

BLOCKS = {"efficientnet_lite0": 10, "MobileNetV2": 11, "ResNet50": 17, "VGG16": 5, "MobileNet": 27}


def images(side: int = 32) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (3, side, side, 3)).astype("float32")


@pytest.fixture(scope="module", params=BLOCKS)
def backbone(request: pytest.FixtureRequest) -> keras.Model:
    keras.utils.set_random_seed(1)
    weights = "imagenet" if request.param == "efficientnet_lite0" else "none"
    model = build(request.param, weights, 32)
    model.blocks = BLOCKS[request.param]
    return model


def test_the_parts_make_the_whole_bit_for_bit(backbone: keras.Model) -> None:
    whole = backbone(images(), training=False)
    for unfrozen in {0, 1, 2, backbone.blocks}:
        trunk, tail = split(backbone, unfrozen)
        parts = tail(trunk(images(), training=False), training=False)
        np.testing.assert_array_equal(parts, whole)
        shared = {id(weight) for weight in trunk.weights + tail.weights}
        assert shared == {id(weight) for weight in backbone.weights}
        assert not {id(weight) for weight in trunk.weights} & {id(w) for w in tail.weights}
        assert bool(tail.weights) == (unfrozen > 0)


def test_more_blocks_unfreeze_more_weights(backbone: keras.Model) -> None:
    counts = [len(split(backbone, number)[1].trainable_weights) for number in range(3)]
    assert counts == sorted(set(counts))


def test_too_many_blocks_name_the_maximum(backbone: keras.Model) -> None:
    assert len(block_ends(backbone)) == backbone.blocks
    message = rf"finetune.unfrozen_blocks: {backbone.blocks + 1}; .* has {backbone.blocks} blocks"
    with pytest.raises(InputError, match=message):
        split(backbone, backbone.blocks + 1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_cutting_leaves_the_backbone_whole(tmp_path: Path) -> None:
    backbone = build("efficientnet_lite0", "imagenet", 32)
    before = backbone(images(), training=False)
    trunk, tail = split(backbone, 2)
    fold(trunk)
    tail.trainable_weights[-1].assign_add(tf.ones(tail.trainable_weights[-1].shape))
    after = backbone(images(), training=False)
    assert not np.array_equal(after, before)  # the layers are shared
    backbone.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(images(), training=False), after)
    assert len(block_ends(backbone)) == len(block_ends(loaded)) == 10


def test_statistics_stay_while_scales_learn() -> None:
    _, tail = split(build("efficientnet_lite0", "imagenet", 64), 2)
    maps = tf.random.stateless_normal((2, *tail.input.shape[1:]), (1, 2))
    still = [weight.numpy() for weight in tail.non_trainable_weights]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tail(maps, training=False) ** 2)
    gradients = tape.gradient(loss, [weight.value for weight in tail.trainable_weights])
    assert all(gradient is not None for gradient in gradients)
    assert any("gamma" in weight.path for weight in tail.trainable_weights)
    assert still
    for before, weight in zip(still, tail.non_trainable_weights, strict=True):
        np.testing.assert_array_equal(weight.numpy(), before)


def test_blocks_end_at_merges_that_carry_everything() -> None:
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, padding="same")(inputs)
    inner = keras.layers.Conv2D(4, 1)(x)
    gated = keras.layers.Multiply()([inner, keras.layers.Conv2D(4, 1)(inner)])
    inside = keras.layers.Add()([gated, inner])  # x is live beside it: no cut here
    first = keras.layers.Add(name="first")([inside, x])
    y = keras.layers.Conv2D(4, 1)(first)
    second = y + first  # an operator is a merge as well
    pooled = keras.layers.MaxPooling2D()(keras.layers.ReLU()(second))  # no weights of its own
    last = keras.layers.Conv2D(2, 1)(pooled)
    model = keras.Model(inputs, keras.layers.Flatten()(last))
    ends = block_ends(model)
    assert [end.shape for end in ends] == [first.shape, pooled.shape, (None, 32)]
    assert ends[0] is first
