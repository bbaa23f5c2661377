"""`model.keras`: equal bytes, loads by `import quickspine` alone, runs nobody's code."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from quickspine.nets.backbones import classifier
from quickspine.nets.heads.spinal import SpinalHead
from quickspine.params import Params, Train
from quickspine.training.model_file import load, parameters, save

DRAWINGS = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 1), np.uint8)


@pytest.fixture(scope="module")
def train(make_params: Callable[..., Params]) -> Train:
    return make_params({"train.width": 0.03, "train.dropout": 0.5}).train


def network(train: Train, head: str = "spinal") -> keras.Model:
    return classifier.build(train, head, classes=3, seed=1, shape=(16, 16, 1))


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


def test_nothing_is_left_beside_the_file(train: Train, tmp_path: Path) -> None:
    save(network(train), tmp_path / "model.keras")
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]


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


@pytest.mark.parametrize("head", ["dense", "spinal", "linear", "matched", "progressive"])
def test_a_loaded_model_answers_the_same(train: Train, head: str, tmp_path: Path) -> None:
    model = network(train, head)
    for weight in model.weights:
        weight.assign(weight + 0.01)
    save(model, tmp_path / "model.keras")
    loaded = load(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(DRAWINGS).numpy(), model(DRAWINGS).numpy())
    assert parameters(loaded) == parameters(model)


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
{imports}
model = keras.saving.load_model(sys.argv[1])
assert type(model.get_layer("head")).__name__ == "SpinalHead"
from quickspine import params
from quickspine.nets.backbones import classifier
from quickspine.training.model_file import save
train = params.Train.model_validate_json(sys.argv[3])
from pathlib import Path
save(classifier.build(train, "spinal", classes=3, seed=1, shape=(16, 16, 1)), Path(sys.argv[2]))
"""


def test_fresh_processes_load_by_import_alone_and_save_equal_bytes(
    train: Train, tmp_path: Path
) -> None:
    """In both orders of imports; the second also shows that a mere look for Keras does no harm."""
    save(network(train), tmp_path / "here.keras")
    imports = (
        "import keras\nimport quickspine",
        "import quickspine.params\nimport importlib.util\nimportlib.util.find_spec('keras')\n"
        "import keras",
    )
    started = [
        subprocess.Popen(
            [
                *(sys.executable, "-c", FRESH.format(imports=lines)),
                *(str(tmp_path / "here.keras"), str(tmp_path / f"fresh{number}.keras")),
                train.model_dump_json(),
            ],
            stderr=subprocess.PIPE,
            text=True,
        )
        for number, lines in enumerate(imports)
    ]
    for process in started:
        errors = process.communicate(timeout=300)[1]
        assert process.returncode == 0, errors
    assert len({path.read_bytes() for path in tmp_path.glob("*.keras")}) == 1
    assert len(list(tmp_path.glob("*.keras"))) == 3
