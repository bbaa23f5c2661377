"""Model files that were damaged or made by strangers: refused, nothing runs."""

from __future__ import annotations

import copy
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import h5py
import keras
import numpy as np
import pytest

from quickspine.nets import allowed_classes
from quickspine.nets.backbones import classifier
from quickspine.params import Head, Params
from quickspine.training.model_file import MEMBERS, load, save
from tests.unit.evaluation.test_trained import SHAPE, network


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A model file, to be damaged."""
    (tmp_path / "good").mkdir()
    save(network(), tmp_path / "good" / "model.keras")
    return tmp_path / "good" / "model.keras"


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


def test_a_file_that_keras_would_not_have_written_is_refused(path: Path, tmp_path: Path) -> None:
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


@pytest.mark.faults
def test_whatever_byte_of_a_model_file_is_damaged_it_is_refused_or_the_same(
    path: Path, tmp_path: Path
) -> None:
    """The digest forged, so that the zip's own checksums, Keras and HDF5 must notice.

    And inside the zip with its checksums made to fit, in a process of its own, where HDF5 might
    also crash: then it may give other weights, as any training may, and nothing worse.
    """
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
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = tmp_path / "victim"
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
