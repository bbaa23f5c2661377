"""Model folders that were damaged, mixed up or made by strangers: refused by name, nothing runs."""

from __future__ import annotations

import copy
import io
import json
import math
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import h5py
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quickspine.errors import InputError
from quickspine.evaluation import models
from quickspine.evaluation.trained import find
from quickspine.files import sha256
from quickspine.nets import allowed_classes
from quickspine.nets.backbones import classifier
from quickspine.nets.heads.spinal import SpinalHead
from quickspine.params import Head, Params
from quickspine.training.model_file import MEMBERS, load, save

ROOT = Path(__file__).resolve().parents[3]
SHAPE = (8, 8, 1)
DATA = "d" * 64
NAME = "train-spinal-1"
HISTORY = "phase,epoch,loss,accuracy,val_loss,val_accuracy,learning_rate\n"
ROW = "train,1,1.5,0.5,1.25,0.5,0.003\n"
RECORDS = SimpleNamespace(shape=SHAPE, categories=["apple", "cat", "zigzag"])


@pytest.fixture(scope="module")
def tiny(make_params: Callable[..., Params]) -> Params:
    return make_params({"heads": ("spinal",), "seeds": (1,), "train.width": 0.03})


def network(outputs: int = 3, shape: tuple[int, ...] = SHAPE, dtype: str = "uint8") -> keras.Model:
    """As small as a network with our head gets."""
    inputs = keras.Input(shape, dtype=dtype)
    values = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    return keras.Model(inputs, SpinalHead(outputs, width=2, sub_layers=2, name="head")(values))


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `models` with what the tiny params ask for."""
    place = tmp_path_factory.mktemp("good") / "models"
    for stage in ("train", "finetune"):
        folder = place / f"{stage}-spinal-1"
        folder.mkdir(parents=True)
        save(network(), folder / "model.keras")
        (folder / "history.csv").write_text(HISTORY + ROW)
        metrics: dict[str, Any] = {"stage": stage, "head": "spinal", "seed": 1, "data_digest": DATA}
        metrics |= {
            "parameters": 500,
            "head_parameters": 400,
            "val_accuracy": 0.5,
            "val_loss": 1.25,
        }
        metrics["model_digest"] = sha256(folder / "model.keras")
        (folder / "metrics.json").write_text(json.dumps(metrics))
    return place


@pytest.fixture
def place(good: Path, tmp_path: Path) -> Path:
    """A copy, to be damaged."""
    return Path(shutil.copytree(good, tmp_path / "models"))


def refusal(work: Callable[[], object]) -> str | None:
    """Why `work` is refused; None where it is not."""
    try:
        work()
    except InputError as error:
        return str(error)
    return None


def forge(folder: Path) -> None:
    """Make the digest in `metrics.json` that of the file that is there now."""
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics["model_digest"] = sha256(folder / "model.keras")
    (folder / "metrics.json").write_text(json.dumps(metrics))


def test_what_is_right_is_found_and_answers(place: Path, tiny: Params) -> None:
    found = find(tiny, place, DATA)
    assert [model.made_by for model in found] == ["train@spinal-1", "finetune@spinal-1"]
    assert found[0].digest == sha256(place / NAME / "model.keras")
    assert found[0].history[0] == {
        "phase": "train",
        "epoch": 1.0,
        "loss": 1.5,
        "accuracy": 0.5,
        "val_loss": 1.25,
        "val_accuracy": 0.5,
        "learning_rate": 0.003,
    }
    alone = tiny.finetune.model_copy(update={"enabled": False})
    only = find(tiny.model_copy(update={"finetune": alone}), place, DATA)
    assert [model.made_by for model in only] == ["train@spinal-1"]
    assert load(found[0].folder / "model.keras")(np.zeros((2, *SHAPE), np.uint8)).shape == (2, 3)


@pytest.mark.parametrize(
    "damage", ["missing", "empty", "short", "long", "first", "last", "folder", "loop", "other"]
)
def test_a_model_file_that_is_another_is_named(place: Path, tiny: Params, damage: str) -> None:
    path = place / NAME / "model.keras"
    content = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage == "loop":
        path.symlink_to(path)
    elif damage == "other":
        save(network(4), path)
    elif damage != "missing":
        changed = {"empty": b"", "short": content[:-1], "long": content + b"\0"}
        changed["first"] = bytes([content[0] ^ 1]) + content[1:]
        changed["last"] = content[:-1] + bytes([content[-1] ^ 1])
        path.write_bytes(changed[damage])
    message = f"{path}: not the model that was trained; run: dvc repro -f train@spinal-1"
    assert refusal(lambda: find(tiny, place, DATA)) == message


def test_models_of_other_data_or_in_each_other_s_place_are_named(place: Path, tiny: Params) -> None:
    assert refusal(lambda: find(tiny, place, "e" * 64)) == (
        f"{place / NAME / 'model.keras'}: trained on other drawings; run: dvc repro train@spinal-1"
    )
    shutil.rmtree(place / NAME)
    shutil.copytree(place / "finetune-spinal-1", place / NAME)
    assert refusal(lambda: find(tiny, place, DATA)) == (
        f"{place / NAME / 'metrics.json'}: of the model 'finetune@spinal-1'; "
        "run: dvc repro -f train@spinal-1"
    )
    shutil.rmtree(place / NAME)
    assert refusal(lambda: find(tiny, place, DATA)) == (
        f"{place / NAME / 'metrics.json'}: missing; run: dvc repro train@spinal-1"
    )


STRANGE = [
    *(None, True, 0, -1, 2, 1.5, 10**30, float("nan"), "", "x", "1", "dense", "../x", "\ud800"),
    *([], {}, [1], {"a": 1}, "x" * 10_000, "\x1b[2J", "0" * 64),
]
READ = (
    *("stage", "head", "seed", "data_digest", "model_digest"),
    *("parameters", "head_parameters", "val_accuracy", "val_loss"),
)


@settings(max_examples=150)
@given(
    key=st.sampled_from([*READ, "val_accuracy", "more"]),
    value=st.sampled_from(STRANGE),
    gone=st.booleans(),
)
def test_any_edit_of_the_metrics_is_refused_or_harmless(
    good: Path,
    tiny: Params,
    tmp_path_factory: pytest.TempPathFactory,
    key: str,
    value: Any,
    gone: bool,
) -> None:
    models_folder = tmp_path_factory.getbasetemp() / "edited models"
    shutil.rmtree(models_folder, ignore_errors=True)
    shutil.copytree(good, models_folder)
    path = models_folder / NAME / "metrics.json"
    original = json.loads(path.read_text())
    edited = copy.deepcopy(original)
    if gone:
        edited.pop(key, None)
    else:
        edited[key] = value
    path.write_text(json.dumps(edited))
    if message := refusal(lambda: find(tiny, models_folder, DATA)):
        assert str(models_folder / NAME) in message
        assert message.endswith("train@spinal-1")
        assert message.isprintable()
        assert len(message) < 1000
        return
    found = find(tiny, models_folder, DATA)[0].metrics
    numbers = ("parameters", "head_parameters", "val_accuracy", "val_loss")
    same = [name for name in READ if name not in numbers]
    assert [found[name] for name in same] == [original[name] for name in same]
    assert all(type(found[name]) is int and found[name] > 0 for name in numbers[:2])
    assert 0 <= found["val_accuracy"] <= 1
    assert math.isfinite(found["val_loss"])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        HISTORY.encode(),
        b"\0" * 100,
        bytes(range(256)),
        b"epoch\n1\n",
        (HISTORY + "train,1,2\n").encode(),
        (HISTORY + ROW.strip() + ",9\n").encode(),
        (HISTORY + ROW.replace("0.5", "nan")).encode(),
        (HISTORY + ROW.replace("0.5", "inf")).encode(),
        (HISTORY + ROW.replace("0.5", "half")).encode(),
        (HISTORY + ROW.replace("0.5", "")).encode(),
        (HISTORY + '"open' + ROW).encode(),
        (HISTORY + "x" * 200_000 + ROW).encode(),
        (HISTORY + ROW).encode("utf-16"),
    ],
)
def test_a_damaged_history_is_named(place: Path, tiny: Params, content: bytes) -> None:
    path = place / NAME / "history.csv"
    path.write_bytes(content)
    message = refusal(lambda: find(tiny, place, DATA))
    assert message
    assert message.startswith(f"{path}: damaged (")
    assert message.endswith("); run: dvc repro -f train@spinal-1")


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "huge"])
def test_a_history_that_is_no_file_is_named(place: Path, tiny: Params, kind: str) -> None:
    path = place / NAME / "history.csv"
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "huge":
        with path.open("wb") as file:
            file.truncate(10 << 30)
    message = refusal(lambda: find(tiny, place, DATA))
    assert message
    assert message.startswith(f"{path}: damaged (")


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda: network(4), "(None, 4)"),
        (lambda: network(shape=(9, 9, 1)), "(None, 9, 9, 1)"),
        (lambda: network(shape=(8, 8, 3)), "(None, 8, 8, 3)"),
        (lambda: network(dtype="float32"), "'float32')] to"),
        (
            lambda: keras.Model((m := network()).inputs, [m.outputs[0], m.outputs[0]]),
            "(None, 3), 'float32'), ((None, 3)",
        ),
    ],
)
def test_a_model_for_other_drawings_or_categories_does_not_answer(
    place: Path, tiny: Params, made: Callable[[], keras.Model], told: str
) -> None:
    path = place / NAME / "model.keras"
    save(made(), path)
    forge(place / NAME)
    trained = find(tiny, place, DATA)[0]
    message = refusal(lambda: models.answer(trained, RECORDS, 1))  # type: ignore[arg-type]
    assert message
    assert message.startswith(f"{path}: maps ")
    assert told in message
    assert message.endswith("; run: dvc repro -f train@spinal-1")


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def zipped(path: Path, content: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in content.items():
            file.writestr(name, data)


def pickled_arrays() -> bytes:
    """An .npz whose array is a pickle."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=True, a=np.array([{"a": 1}], object))
    return buffer.getvalue()


HEAD = "layers/spinal_head"  # where Keras puts the head's weights


def linked(weights: bytes, target: Path) -> bytes:
    """The weights with a link to another file in the place of a group."""
    buffer = io.BytesIO(weights)
    with h5py.File(buffer, "a") as file:
        del file[HEAD]
        file[HEAD] = h5py.ExternalLink(str(target), "/")
    return buffer.getvalue()


def emptied(weights: bytes) -> bytes:
    buffer = io.BytesIO(weights)
    with h5py.File(buffer, "a") as file:
        del file[HEAD]
    return buffer.getvalue()


def test_a_file_that_keras_would_not_have_written_is_refused(place: Path, tmp_path: Path) -> None:
    path = place / NAME / "model.keras"
    content = members(path)
    assert sorted(content) == MEMBERS
    weights, config = content["model.weights.h5"], content["config.json"]
    outside = tmp_path / "outside.h5"
    with h5py.File(outside, "w") as file:
        file["a"] = np.zeros(3)
    zeros = b"\0" * (200 << 20)  # 200 KB of a zip
    cases: dict[str, Callable[[], object]] = {
        "empty": lambda: path.write_bytes(b""),
        "text": lambda: path.write_text("no model"),
        "weights alone": lambda: path.write_bytes(weights),
        "a pickle": lambda: path.write_bytes(b"\x80\x04\x8c\x05posix\x8c\x06system\x93."),
        "no members": lambda: zipped(path, {}),
        "without weights": lambda: zipped(path, {k: content[k] for k in MEMBERS[:2]}),
        "without config": lambda: zipped(path, {k: content[k] for k in MEMBERS[1:]}),
        "one more": lambda: zipped(path, {**content, "assets/x": b"x"}),
        "one outside": lambda: zipped(path, {**content, "../x": b"x"}),
        "compressed": lambda: zipped(path, content, zipfile.ZIP_DEFLATED),
        "a bomb": lambda: zipped(path, {**content, "config.json": zeros}, zipfile.ZIP_DEFLATED),
        "weights empty": lambda: zipped(path, {**content, "model.weights.h5": b""}),
        "weights pickled": lambda: zipped(path, {**content, "model.weights.h5": pickled_arrays()}),
        "weights short": lambda: zipped(path, {**content, "model.weights.h5": weights[:-100]}),
        "weights gone": lambda: zipped(path, {**content, "model.weights.h5": emptied(weights)}),
        "weights elsewhere": lambda: zipped(
            path, {**content, "model.weights.h5": linked(weights, outside)}
        ),
        "config empty": lambda: zipped(path, {**content, "config.json": b""}),
        "config a list": lambda: zipped(path, {**content, "config.json": b"[]"}),
        "config deep": lambda: zipped(path, {**content, "config.json": b"[" * 100_000}),
        "config short": lambda: zipped(path, {**content, "config.json": config[:-9]}),
        "another width": lambda: zipped(
            path, {**content, "config.json": config.replace(b'"width": 2', b'"width": 3')}
        ),
    }
    for name, make in cases.items():
        make()
        message = ""
        try:
            load(path)
        except ValueError as error:
            message = str(error)
        assert message.startswith("damaged, or not a model of quickspine's ("), name
    path.unlink()
    path.mkdir()
    with pytest.raises(ValueError, match="directory"):
        load(path)


def test_whatever_byte_of_a_model_file_is_damaged_it_is_refused_or_the_same(
    place: Path, tmp_path: Path
) -> None:
    """The digest forged, so that the zip's own checksums, Keras and HDF5 must notice.

    And inside the zip with its checksums made to fit, in a process of its own, where HDF5 might
    also crash: then it may give other weights, as any training may, and nothing worse.
    """
    path = place / NAME / "model.keras"
    content, parted = path.read_bytes(), members(path)
    images = np.random.default_rng(0).integers(0, 256, (3, *SHAPE), np.uint8)
    expected = load(path)(images).numpy()
    spots = np.random.default_rng(1)
    directory = content.index(b"PK\x01\x02")
    chosen = [*spots.integers(0, directory, 20), *range(directory, len(content), 13)]
    loaded = 0
    for spot in chosen:
        damaged = content[:spot] + bytes([content[spot] ^ 1 << spot % 8]) + content[spot + 1 :]
        path.write_bytes(damaged)
        try:
            found = load(path)
        except ValueError as error:
            assert "damaged" in str(error)  # noqa: PT017 - it may also load
            continue
        loaded += 1
        np.testing.assert_array_equal(found(images).numpy(), expected)
    assert loaded < len(chosen) / 2

    for number in range(24):
        name = MEMBERS[0] if number % 3 == 0 else MEMBERS[2]
        data = bytearray(parted[name])
        data[spots.integers(len(data))] ^= 1 << spots.integers(8)
        zipped(tmp_path / f"{number}.keras", {**parted, name: bytes(data)})
    code = (
        "import sys\nfrom pathlib import Path\nfrom quickspine.training.model_file import load\n"
        "for name in sys.argv[1:]:\n"
        "    try:\n        load(Path(name))\n        print('loaded')\n"
        "    except ValueError as error:\n        print('refused')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, tmp_path.glob("*.keras"))],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = done.stdout.split()
    assert len(answers) == 24
    assert set(answers) == {"refused", "loaded"}


@keras.saving.register_keras_serializable("strangers")
class Stranger(keras.layers.Layer):  # type: ignore[misc]
    """A layer of somebody else's, whose making leaves a file."""

    victim: Path

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Stranger:
        cls.victim.touch()
        return cls(**config)


def part(module: str | None, name: str, config: Any = None, **more: Any) -> dict[str, Any]:
    return {"module": module, "class_name": name, "config": config or {}, **more}


def payloads(victim: Path) -> dict[str, dict[str, Any]]:
    """Parts of a configuration that run code, open files or addresses where they may."""
    marshalled = ["4wAAAAAA", None, None]
    code = {"class_name": "__lambda__", "config": {"value": marshalled}}
    wrapped = {"name": "x", "function": code, "arguments": {}}
    text, url = str(victim), f"file://{victim}"
    return {
        "lambda": part("keras.layers", "Lambda", wrapped),
        "bare lambda": code,
        "lambda by its source": part("keras.src.layers.core.lambda_layer", "Lambda", wrapped),
        "system": part("os", "system", {"command": f"touch {text}"}),
        "function": part("os", "function", "system", registered_name="system"),
        "eval": part("builtins", "function", "eval", registered_name="eval"),
        "popen": part("subprocess", "Popen", {"args": ["touch", text]}),
        "path": part("pathlib", "Path", {}),
        "download": part("keras.utils", "get_file", {"fname": text, "origin": url}),
        "switch": part("keras.config", "enable_unsafe_deserialization"),
        "saved model": part("keras.layers", "TFSMLayer", {"filepath": text}),
        "torch": part("keras.layers", "TorchModuleWrapper", {"module": text}),
        "lookup": part("keras.layers", "StringLookup", {"vocabulary": text}),
        "reads": part("keras.src.saving.saving_lib", "load_model", {"filepath": text}),
        "custom": part(None, "Stranger", {}, registered_name="strangers>Stranger"),
        "custom as ours": part(
            "keras.layers", "Dense", {"units": 1}, registered_name="strangers>Stranger"
        ),
        "ours as custom": part(None, "Stranger", {}, registered_name="quickspine>SpinalHead"),
        "typed": part("os", "__typespec__", [], spec_name="system", registered_name=None),
        "no name": part("keras.layers", ["Dense"]),  # type: ignore[arg-type]
        "compiled": {"compile_config": {"optimizer": "adam"}},
    }


WHERE = ("instead", "inside", "deep")


def placed(config: dict[str, Any], payload: dict[str, Any], where: str) -> dict[str, Any]:
    """The payload as a layer, as a layer's initialiser, or in what nobody reads."""
    changed = copy.deepcopy(config)
    layers = changed["config"]["layers"]
    if where == "instead":
        layers[1] = {**layers[1], **payload}
    elif where == "inside":
        layers[1]["config"]["scale"] = payload
    else:
        layers[1]["config"]["x"] = [[{"y": [payload]}]]
    return changed


def test_no_payload_in_a_configuration_reaches_keras(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, victim = place / NAME / "model.keras", tmp_path / "victim"
    monkeypatch.setattr(Stranger, "victim", victim, raising=False)
    content = members(path)
    config = json.loads(content["config.json"])
    asked: list[object] = []
    whole = keras.saving.load_model
    monkeypatch.setattr(keras.saving, "load_model", lambda *a, **k: asked.append(a))
    for payload in payloads(victim).values():
        for where in WHERE:
            forged = json.dumps(placed(config, payload, where)).encode()
            zipped(path, {**content, "config.json": forged})
            with pytest.raises(ValueError, match=r"part that no model|named by something|compiled"):
                load(path)
    assert not asked
    assert not victim.exists()
    # The stranger's layer is a real danger: Keras, safe mode or not, makes what is registered.
    forged = json.dumps(placed(config, payloads(victim)["custom"], "instead")).encode()
    zipped(path, {**content, "config.json": forged})
    with pytest.raises(NotImplementedError):  # it can do nothing, but by then it was made
        whole(path, compile=False, safe_mode=True)
    assert victim.exists()


def test_all_that_our_networks_are_made_of_is_known(params: Params) -> None:
    for head in get_args(Head):
        for start in ("pytorch", "keras"):
            train = params.train.model_copy(update={"width": 0.03, "initialisation": start})
            model = classifier.build(train, head, classes=3, seed=1, shape=(16, 16, 1))
            allowed_classes.check(json.loads(model.to_json()))


def test_the_real_door_refuses_a_damaged_model_before_tensorflow(
    place: Path, tiny: Params, tmp_path: Path
) -> None:
    """`find` needs none: imported and asked in a fresh process, as `evaluate` does first."""
    path = place / NAME / "model.keras"
    path.write_bytes(path.read_bytes()[:-1])
    code = (
        "import sys; from pathlib import Path; from quickspine.errors import InputError\n"
        "from quickspine.evaluation.trained import find; from quickspine.params import Params\n"
        "try:\n    find(Params.model_validate_json(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])\n"
        "except InputError as error:\n    print(error)\n"
        "print({'tensorflow', 'keras'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tiny.model_dump_json(), str(place), DATA],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    refused, imported = done.stdout.splitlines()
    assert refused.startswith(f"{path}: not the model that was trained")
    assert imported == "set()"
