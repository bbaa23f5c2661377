"""`model.keras`: equal bytes, loads by `import quickspine` alone, runs nobody's code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

import quickspine
from quickspine.nets.backbones import classifier
from quickspine.nets.heads.spinal import SpinalHead
from quickspine.params import Params, Train
from quickspine.training.model_file import load, parameters, save


@pytest.fixture(scope="module")
def train(make_params: Callable[..., Params]) -> Train:
    return make_params({"train.width": 0.03, "train.dropout": 0.5}).train


def network(train: Train) -> keras.Model:
    return classifier.build(train, "spinal", classes=3, seed=1, shape=(16, 16, 1))


def test_equal_models_are_equal_bytes(train: Train, tmp_path: Path) -> None:
    for name in ("first", "second"):
        save(network(train), tmp_path / name)
    model = network(train)
    save(model, tmp_path / "third")
    save(model, tmp_path / "fourth")
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1
    kernel = model.get_layer("head").logits.kernel
    kernel.assign(kernel + 1)
    save(model, tmp_path / "other")
    assert (tmp_path / "other").read_bytes() != (tmp_path / "first").read_bytes()


def test_the_file_holds_no_date_and_no_address(train: Train, tmp_path: Path) -> None:
    save(network(train), tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as file:
        assert {entry.date_time[0] for entry in file.infolist()} == {1980}
        assert b"date" not in file.read("metadata.json")
        config = file.read("config.json")
    json.loads(config)
    assert str(id(train))[:6].encode() not in config


def test_shared_objects_stay_shared(tmp_path: Path) -> None:
    """Addresses become small numbers; which of them are equal stays."""
    regularizer = keras.regularizers.L2(0.1)
    inputs = keras.Input((4,))
    first = keras.layers.Dense(4, kernel_regularizer=regularizer, name="first")
    second = keras.layers.Dense(4, kernel_regularizer=regularizer, name="second")
    model = keras.Model(inputs, second(first(first(inputs))))
    save(model, tmp_path / "model.keras")
    loaded = load(tmp_path / "model.keras")
    x = np.ones((2, 4), np.float32)
    np.testing.assert_array_equal(loaded(x), model(x))
    assert len(loaded.layers) == 3


def test_code_in_a_file_is_refused(tmp_path: Path) -> None:
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Lambda(lambda x: x * 2)(inputs))
    save(model, tmp_path / "model.keras")
    with pytest.raises(ValueError, match=r"a part that no model here has .*'Lambda'"):
        load(tmp_path / "model.keras")


def test_what_trains_is_counted_frozen_or_not() -> None:
    inputs = keras.Input((8, 8, 3))
    values = keras.layers.Normalization()(inputs)  # keeps a mean, a variance and a count
    shared = keras.layers.Conv2D(3, 3, padding="same", use_bias=False)
    values = keras.layers.BatchNormalization()(shared(shared(values)))
    values = keras.layers.Dropout(0.5, seed=1)(values)
    head = SpinalHead(2, width=5, sub_layers=1, dropout=0.5, batch_norm=True, name="head")
    model = keras.Model(inputs, head(keras.layers.GlobalAveragePooling2D()(values)))
    of_head = (2 + 1) * 5 + 2 * 5 + (5 + 1) * 2
    assert parameters(head) == of_head
    expected = 3 * 3 * 3 * 3 + 2 * 3 + of_head
    assert parameters(model) == expected
    assert parameters(model) == sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    model.trainable = False
    assert not model.trainable_weights
    assert parameters(model) == expected
    assert parameters(keras.Model(model.inputs, model(model.inputs))) == expected  # nested


FRESH = """
import sys
from pathlib import Path
import quickspine
heavy = sorted({"keras", "tensorflow", "h5py"} & set(sys.modules))
assert not heavy, heavy
model = quickspine.load_model(sys.argv[1])
assert type(model.get_layer("head")).__name__ == "SpinalHead"
from quickspine import params
from quickspine.nets.backbones import classifier
from quickspine.training.model_file import save
train = params.Train.model_validate_json(sys.argv[3])
save(classifier.build(train, "spinal", classes=3, seed=1, shape=(16, 16, 1)), Path(sys.argv[2]))
"""


@pytest.mark.slow
def test_a_fresh_process_loads_and_saves_equal_bytes_whatever_keras_is_set_to(
    train: Train, tmp_path: Path
) -> None:
    """`import quickspine` is light; KERAS_BACKEND and keras.json of the user change nothing."""
    save(network(train), tmp_path / "here.keras")
    settings = {"backend": "jax", "image_data_format": "channels_first", "floatx": "float16"}
    (tmp_path / "keras.json").write_text(json.dumps({**settings, "epsilon": 0.1}))
    names = [str(tmp_path / name) for name in ("here.keras", "fresh.keras")]
    done = subprocess.run(
        [sys.executable, "-c", FRESH, *names, train.model_dump_json()],
        env={**os.environ, "KERAS_HOME": str(tmp_path), "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert Path(names[0]).read_bytes() == Path(names[1]).read_bytes()


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.keras").write_bytes(b"no zip")
    with pytest.raises(ValueError, match=r"model\.keras: damaged, or not a model of quickspine"):
        quickspine.load_model(tmp_path / "model.keras")
