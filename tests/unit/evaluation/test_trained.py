"""Model folders: those asked for are found and predict, others are refused by name."""

from __future__ import annotations

import copy
import csv
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from quickspine.evaluation import predict
from quickspine.evaluation.trained import candidates, find, set_aside
from quickspine.files import sha256
from quickspine.nets.heads.spinal import SpinalHead
from quickspine.params import Params
from quickspine.training.code import code_digest
from quickspine.training.model_file import load, save
from tests.unit.dataset.conftest import refusal

SHAPE = (8, 8, 1)
DATA, WEIGHTS = "d" * 64, "b" * 64
NAME = "train-spinal-1"
HISTORY = "phase,epoch,loss,accuracy,val_loss,val_accuracy,learning_rate\n"
ROW = "train,1,1.5,0.5,1.25,0.5,0.003\n"
IMAGES = np.random.default_rng(0).integers(0, 256, (20, *SHAPE), np.uint8)
RECORDS: Any = SimpleNamespace(
    shape=SHAPE,
    categories=["apple", "cat", "zigzag"],
    ordered=lambda split, size: [(tf.constant(IMAGES[at : at + 8]), None) for at in (0, 8, 16)],
)


@pytest.fixture(scope="module")
def tiny(make_params: Callable[..., Params]) -> Params:
    return make_params({"heads": ("spinal",), "seeds": (1, 2), "train.width": 0.03})


def network(outputs: int = 3, shape: tuple[int, ...] = SHAPE, dtype: str = "uint8") -> keras.Model:
    """As small as a network with our head gets."""
    inputs = keras.Input(shape, dtype=dtype)
    values = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    return keras.Model(inputs, SpinalHead(outputs, width=2, sub_layers=2, name="head")(values))


@pytest.fixture(scope="module")
def good(tiny: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `models` with what the tiny params ask for."""
    place = tmp_path_factory.mktemp("good") / "models"
    for stage in ("train", "finetune"):
        for seed in (1, 2):
            folder = place / f"{stage}-spinal-{seed}"
            folder.mkdir(parents=True)
            model = network()
            model.set_weights([seed * weight for weight in model.get_weights()])
            save(model, folder / "model.keras")
            (folder / "history.csv").write_text(HISTORY + ROW)
            metrics: dict[str, Any] = {
                "stage": stage, "head": "spinal", "seed": seed, "data_digest": DATA,
                "params_digest": tiny.digest(stage), "parameters": 500, "head_parameters": 400,
                "val_accuracy": 0.5, "val_loss": 1.25,
                "model_digest": sha256(folder / "model.keras"),
                "code_digest": code_digest(stage, "spinal"), "weights_digest": WEIGHTS,
            }  # fmt: skip
            (folder / "metrics.json").write_text(json.dumps(metrics))
    return place


@pytest.fixture
def place(good: Path, tmp_path: Path) -> Path:
    """A copy, to be damaged."""
    return Path(shutil.copytree(good, tmp_path / "models"))


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def replace_model(folder: Path, model: keras.Model) -> None:
    """With the digest in `metrics.json` made to fit."""
    save(model, folder / "model.keras")
    edit(folder, model_digest=sha256(folder / "model.keras"))


def test_what_is_asked_for_is_found(place: Path, tiny: Params) -> None:
    """Models of other seeds and heads are not even opened."""
    (place / "train-dense-1").mkdir()
    (place / "train-spinal-7").mkdir()
    found = find(tiny, place, DATA)
    assert [model.made_by for model in found] == [
        "train@spinal-1", "train@spinal-2", "finetune@spinal-1", "finetune@spinal-2",
    ]  # fmt: skip
    assert found[0].digest == sha256(place / NAME / "model.keras")
    (row,) = csv.DictReader((HISTORY + ROW).splitlines())
    numbers = {key: float(value) for key, value in row.items() if key != "phase"}
    assert found[0].history == [{"phase": "train", **numbers}]
    alone = tiny.finetune.model_copy(update={"enabled": False})
    only = find(tiny.model_copy(update={"finetune": alone}), place, DATA)
    assert [model.made_by for model in only] == ["train@spinal-1", "train@spinal-2"]
    proposed = candidates(only)[0]
    assert (proposed.name, proposed.accuracy, proposed.loss) == (NAME, 0.5, 1.25)
    assert (proposed.model_digest, proposed.params_digest) == (only[0].digest, tiny.digest("train"))


def test_a_network_is_built_once_and_predicts_with_the_weights_of_every_seed(
    place: Path, tiny: Params
) -> None:
    one, two, *_ = find(tiny, place, DATA)
    shared = predict.Network(one, RECORDS, repeats=1)
    assert list(shared.costs.latency) == [1, 256]
    runs = [shared.predict(model) for model in (one, two, one)]
    assert runs[0].costs is runs[1].costs
    for run, model in zip(runs, (one, two, one), strict=True):
        expected = load(model.folder / "model.keras")(IMAGES).numpy()
        np.testing.assert_allclose(run.logits, expected, rtol=1e-5, atol=1e-6)
        assert run.name == f"train-spinal-{model.seed}"
    assert not np.array_equal(runs[0].logits, runs[1].logits)


MODEL, METRICS, PLOTTED = f"{NAME}/model.keras", f"{NAME}/metrics.json", f"{NAME}/history.csv"
OTHER = "e" * 64
AGAIN = "run: dvc repro -f train@spinal-1"
ONCE = "run: dvc repro train@spinal-1"
COMMITTED = (
    "run: dvc repro, or after a dvc commit, which trains nothing: dvc repro -s -f train@spinal-1"
)
FINETUNED = "run: dvc repro -s -f finetune@spinal-1 finetune@spinal-2"


def flip(place: Path, at: int) -> None:
    path = place / MODEL
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def truncate(place: Path) -> None:
    path = place / PLOTTED
    with path.open("wb") as file:
        file.truncate(10 << 30)


def swap(place: Path, make: Callable[[Path], object], name: str) -> None:
    path = place / name
    path.unlink()
    make(path)


def other_folder(place: Path) -> None:
    shutil.rmtree(place / NAME)
    shutil.copytree(place / "finetune-spinal-1", place / NAME)


def write_history(content: bytes) -> Callable[[Path], object]:
    return lambda place: (place / PLOTTED).write_bytes(content)


DAMAGES: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "no folder": (lambda p: shutil.rmtree(p / NAME), f"{METRICS}: missing", ONCE),
    "no model": (lambda p: (p / MODEL).unlink(), f"{MODEL}: not the model that was trained", AGAIN),
    "empty": (lambda p: (p / MODEL).write_bytes(b""), f"{MODEL}: not the model that", AGAIN),
    "first byte": (lambda p: flip(p, 0), f"{MODEL}: not the model that was trained", AGAIN),
    "last byte": (lambda p: flip(p, -1), f"{MODEL}: not the model that was trained", AGAIN),
    "a folder": (lambda p: swap(p, Path.mkdir, MODEL), f"{MODEL}: not the model that", AGAIN),
    "a loop": (lambda p: swap(p, lambda f: f.symlink_to(f), MODEL), f"{MODEL}: not the", AGAIN),
    "other place": (other_folder, f"{METRICS}: of the model 'finetune@spinal-1'", AGAIN),
    "other data": (
        lambda p: edit(p / NAME, data_digest=OTHER),
        f"{NAME}: trained on other data: its data_digest begins 'eeeeeeeeeeee', expected 'dddd",
        ONCE,
    ),
    "other params": (
        lambda p: edit(p / NAME, params_digest=OTHER),
        f"{NAME}: trained with other params (section train): its params_digest begins 'eeeeeeee",
        ONCE,
    ),
    "other code": (
        lambda p: edit(p / NAME, code_digest=OTHER),
        f"{NAME}: trained by other code than is here now: its code_digest begins 'eeeeeeeeeeee', "
        f"expected '{code_digest('train', 'spinal')[:12]}'",
        COMMITTED,
    ),
    "an older version's": (
        lambda p: edit(p / NAME, code_digest=None),
        f"{NAME}: trained by other code than is here now: its code_digest is missing, expected '",
        COMMITTED,
    ),
    "other weights": (
        lambda p: edit(p / "finetune-spinal-2", weights_digest=OTHER),
        "finetune-spinal-2: fine-tuned from other weights than finetune-spinal-1: its "
        "weights_digest begins 'eeeeeeeeeeee', that one's begins 'bbbbbbbbbbbb'",
        FINETUNED,
    ),
    "no weights": (
        lambda p: edit(p / "finetune-spinal-1", weights_digest=None),
        "finetune-spinal-1: fine-tuned from other weights than finetune-spinal-1: its "
        "weights_digest is missing",
        FINETUNED,
    ),
    "no params": (lambda p: edit(p / NAME, params_digest=None), f"{METRICS}: damaged (", AGAIN),
    "no accuracy": (lambda p: edit(p / NAME, val_accuracy=1.5), f"{METRICS}: damaged (", AGAIN),
    "no history": (lambda p: (p / PLOTTED).unlink(), f"{PLOTTED}: damaged (no such file)", AGAIN),
    "history a pipe": (lambda p: swap(p, os.mkfifo, PLOTTED), f"{PLOTTED}: damaged (", AGAIN),
    "history huge": (truncate, f"{PLOTTED}: damaged (more than", AGAIN),
    **{
        f"history {content[:40]!r}": (write_history(content), f"{PLOTTED}: damaged (", AGAIN)
        for content in (
            b"",
            HISTORY.encode(),
            bytes(range(256)),
            b"epoch\n1\n",
            (HISTORY + "train,1,2\n").encode(),
            (HISTORY + ROW.strip() + ",9\n").encode(),
            (HISTORY + ROW.replace("0.5", "nan")).encode(),
            (HISTORY + ROW.replace("0.5", "half")).encode(),
            (HISTORY + '"open' + ROW).encode(),
            (HISTORY + ROW).encode("utf-16"),
        )
    },
}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_damaged_or_of_something_else_is_named(
    place: Path, tiny: Params, name: str
) -> None:
    damage, start, remedy = DAMAGES[name]
    damage(place)
    message = refusal(lambda: find(tiny, place, DATA))
    assert message
    assert message.startswith(f"{place}/{start}")
    assert message.endswith(f"; {remedy}")


def test_random_weights_may_differ_between_seeds(place: Path, tiny: Params) -> None:
    """With `finetune.weights: none` each seed draws its own, for all heads."""
    finetune = tiny.finetune.model_copy(update={"weights": "none"})
    params = tiny.model_copy(update={"finetune": finetune})
    for seed in (1, 2):
        digests = {"weights_digest": str(seed) * 64, "params_digest": params.digest("finetune")}
        edit(place / f"finetune-spinal-{seed}", **digests)
    assert len(find(params, place, DATA)) == 4


STRANGE = [
    *(None, True, 0, -1, 2, 1.5, 10**30, float("nan"), "", "x", "1", "dense", "../x", "\ud800"),
    *([], {}, [1], {"a": 1}, "x" * 10_000, "\x1b[2J", "0" * 64),
]
READ = (
    *("stage", "head", "seed", "data_digest", "params_digest", "code_digest", "model_digest"),
    *("parameters", "head_parameters", "val_accuracy", "val_loss"),
)


@settings(max_examples=100)
@given(st.sampled_from([*READ, "more"]), st.sampled_from(STRANGE), st.booleans())
def test_any_edit_of_the_metrics_is_refused_or_harmless(
    good: Path, tiny: Params, key: str, value: Any, gone: bool
) -> None:
    path = good / METRICS
    original = path.read_text()
    edited = copy.deepcopy(json.loads(original)) | {key: value}
    if gone:
        edited.pop(key)
    try:
        path.write_text(json.dumps(edited))
        message = refusal(lambda: find(tiny, good, DATA))
        found = None if message else find(tiny, good, DATA)[0].metrics
    finally:
        path.write_text(original)
    if found is None:
        assert message
        assert str(good / NAME) in message
        assert message.endswith("train@spinal-1")
        assert message.isprintable()
        assert len(message) < 1000
        return
    unchanged = READ[:7]
    assert [found[name] for name in unchanged] == [json.loads(original)[name] for name in unchanged]
    assert all(type(found[name]) is int and found[name] > 0 for name in READ[7:9])
    assert 0 <= found["val_accuracy"] <= 1
    assert math.isfinite(found["val_loss"])


@pytest.mark.parametrize(
    ("made", "words"),
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
def test_a_model_for_other_images_or_categories_does_not_predict(
    place: Path, tiny: Params, made: Callable[[], keras.Model], words: str
) -> None:
    """Neither as the first seed, whose network is built, nor as a later one."""
    replace_model(place / NAME, made())
    first, second, *_ = find(tiny, place, DATA)
    message = refusal(lambda: predict.Network(first, RECORDS, 1))
    assert message
    assert message.startswith(f"{place / MODEL}: maps ")
    assert words in message
    assert message.endswith(f"; {AGAIN}")
    if words.startswith(("(None, 9", "(None, 8", "(None, 4")):  # other weights
        message = refusal(lambda: predict.Network(second, RECORDS, 1).predict(first))
        assert message
        assert message.startswith(f"{place / MODEL}: damaged, or of another network (")


def test_memory_by_hand() -> None:
    inputs = keras.Input((6, 6, 1), dtype="uint8")
    values = keras.layers.Rescaling(1 / 255)(inputs)
    maps = keras.layers.Conv2D(4, 3)(values)  # 36 in, 64 out
    maps = keras.layers.BatchNormalization()(maps)  # 64 in, 64 out: the most
    features = keras.layers.GlobalAveragePooling2D()(maps)
    model = keras.Model(inputs, SpinalHead(3, width=2, sub_layers=2, name="head")(features))
    head = (2 + 1) * 2 + (2 + 2 + 1) * 2 + (4 + 1) * 3
    weights, activations = predict.memory(model)
    assert weights == 4 * ((9 + 1) * 4 + 4 * 4 + head)  # moving statistics are held too
    assert activations == 4 * (64 + 64)


@pytest.mark.parametrize(
    ("each_s", "repeats", "times"),
    [(0.01, 50, 50), (0.01, 3, 3), (1.0, 50, 10), (0.11, 50, 10), (0.06, 50, 17)],
)
def test_latency_keeps_to_its_budget(
    each_s: float, repeats: int, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ticking() -> Iterator[float]:
        now = 0.0
        while True:
            yield now
            now += each_s

    clock, passes = ticking(), []
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))

    def forward(images: Any) -> Any:
        passes.append(images)
        return tf.zeros(1)

    found = predict.latency(forward, tf.zeros(1), repeats)
    assert len(passes) == predict.WARM_UP + times
    assert found.median_ms == pytest.approx(1000 * each_s)
    assert found.p95_ms == pytest.approx(1000 * each_s)


def test_only_trained_models_that_are_not_asked_for_are_moved(tmp_path: Path) -> None:
    models, aside = tmp_path / "models", tmp_path / "aside"
    for name in ("train-dense-1", "train-dense-2", "finetune-spinal-1", "mine", "train-notes"):
        (models / name).mkdir(parents=True)
        (models / name / "metrics.json").write_text(name)
    (models / "train-dense-9").write_text("a file")
    assert set_aside(models, ["dense"], [1], aside) == ["finetune-spinal-1", "train-dense-2"]
    kept = {path.name for path in models.iterdir()}
    assert kept == {"train-dense-1", "mine", "train-notes", "train-dense-9"}
    assert (aside / "train-dense-2" / "metrics.json").read_text() == "train-dense-2"
    (models / "train-dense-2").mkdir()  # an older one gives way
    assert set_aside(models, ["dense"], [1], aside) == ["train-dense-2"]
    assert list((aside / "train-dense-2").iterdir()) == []
