"""keras.applications models: the list, the preprocessing, weights files, no network."""

import warnings
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from quickspine.errors import InputError
from quickspine.nets.pretrained import applications, build
from quickspine.nets.pretrained.catalogue import BACKBONES

APPLICATIONS = {
    name: backbone for name, backbone in BACKBONES.items() if backbone.module == "applications"
}


def images(side: int, count: int = 2) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (count, side, side, 3)).astype("float32")


def test_the_list_is_that_of_keras() -> None:
    """One that Keras gains fails here until it is listed, with its preprocessing."""
    public = {name for name, value in vars(keras.applications).items() if callable(value)}
    assert set(APPLICATIONS) == public


@pytest.mark.parametrize("name", APPLICATIONS)
def test_the_preprocessing_is_that_of_keras(name: str) -> None:
    modules = [m for m in vars(keras.applications).values() if hasattr(m, "preprocess_input")]
    # Of all families, only MobileNetV3 does not show its functions in its module.
    modules = [m for m in modules if hasattr(m, name)] or [keras.applications.mobilenet_v3]
    found = applications.preprocess(tf.constant(images(4)), BACKBONES[name].preprocessing)
    expected = modules[0].preprocess_input(images(4))
    np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("name", ["VGG16", "MobileNetV2"])
def test_weights_files_of_the_bare_model_fit(name: str, tmp_path: Path) -> None:
    bare = getattr(keras.applications, name)(
        include_top=False, weights=None, input_shape=(32, 32, 3)
    )
    family = keras.applications.vgg16 if name == "VGG16" else keras.applications.mobilenet_v2
    maps = bare(family.preprocess_input(images(32)), training=False)
    expected = np.mean(maps, axis=(1, 2))
    bare.save_weights(tmp_path / "new.weights.h5")
    bare.save(tmp_path / "old.h5")
    for file in ("new.weights.h5", "old.h5"):
        model = build(name, str(tmp_path / file), 32)
        found = model(images(32), training=False)
        np.testing.assert_allclose(found, expected, atol=1e-5 * expected.max())
    model.save(tmp_path / "whole.keras")
    loaded = keras.saving.load_model(tmp_path / "whole.keras")
    np.testing.assert_array_equal(loaded(images(32)), model(images(32)))


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    keras.applications.VGG19(include_top=False, weights=None).save_weights(
        tmp_path / "vgg19.weights.h5"
    )
    good = (tmp_path / "vgg19.weights.h5").read_bytes()
    (tmp_path / "short.weights.h5").write_bytes(good[: len(good) // 2])
    (tmp_path / "junk.h5").write_bytes(b"junk" * 100)
    h5py.File(tmp_path / "empty.weights.h5", "w").close()
    for file in ("vgg19.weights.h5", "short.weights.h5", "junk.h5", "empty.weights.h5"):
        with pytest.raises(InputError, match=f"weights: '.*{file}' does not fit VGG16"):
            build("VGG16", str(tmp_path / file), 32)


def test_a_weight_that_the_file_lacks_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "silent.weights.h5").touch()
    monkeypatch.setattr(
        keras.Model,
        "load_weights",
        lambda *_: warnings.warn("Skipping nested container at x", stacklevel=1),
    )
    with pytest.raises(InputError, match="nothing for 26 weights, such as block1_conv1"):
        build("VGG16", str(tmp_path / "silent.weights.h5"), 32)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_deviations_in_place_of_variances_are_mended(tmp_path: Path) -> None:
    bare = keras.applications.EfficientNetB0(
        include_top=False, weights=None, input_shape=(32, 32, 3)
    )
    scale = next(layer for layer in bare.layers if isinstance(layer, keras.layers.Normalization))
    scale.set_weights([applications.MEAN, applications.DEVIATION, np.array(0)])
    bare.save_weights(tmp_path / "as_published.weights.h5")
    model = build("EfficientNetB0", str(tmp_path / "as_published.weights.h5"), 32)
    layer = next(layer for layer in model.layers if isinstance(layer, keras.layers.Normalization))
    expected = (images(32) / 255 - applications.MEAN) / applications.DEVIATION
    np.testing.assert_allclose(layer(images(32) / 255), expected, rtol=1e-4, atol=1e-5)


def test_without_a_network_imagenet_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nothing listens there
    with pytest.raises(InputError) as caught:
        build("MobileNetV2", "imagenet", 64)
    message = str(caught.value)
    assert message.startswith("finetune.weights: imagenet weights of MobileNetV2 cannot be had")
    assert "give a weights file as finetune.weights" in message
    assert "finetune.backbone: efficientnet_lite0" in message
    assert caught.value.__cause__ is None


def test_a_size_that_keras_refuses_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise ValueError("Input size must be at least 48x48")

    monkeypatch.setattr(keras.applications, "VGG16", refuse)
    with pytest.raises(InputError, match=r"^finetune.image_size: VGG16 .* 32 pixels .*48x48"):
        build("VGG16", "none", 32)
