"""Fine-tuning: what is frozen stays, what is saved is what was validated, features are shared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from quickspine.dataset.reader import RecordSet
from quickspine.nets import pretrained
from quickspine.nets.pretrained.blocks import split
from quickspine.params import Params
from quickspine.training import features, finetune, loop
from quickspine.training.devices import Device
from quickspine.training.loop import Epoch, Fitted, Task, compiled_forward, score
from quickspine.training.model_file import load, save
from quickspine.training.outputs import Outcome

SIZE = 32


def settings(make_params: Callable[..., Params], **changes: Any) -> Params:
    values = {
        "weights": "none",
        "image_size": SIZE,
        "unfrozen_blocks": 1,
        "dense_width": 6,
        "spinal_width": 4,
        "head_epochs": 2,
        "epochs": 2,
        "head_learning_rate": 0.01,
        "learning_rate": 0.003,
        "batch_size": 16,
        **changes,
    }
    return make_params({f"finetune.{name}": value for name, value in values.items()})


def residual(values: Any, name: str) -> Any:
    inner = keras.layers.Conv2D(4, 3, padding="same", use_bias=False, name=f"{name}_conv")(values)
    inner = keras.layers.BatchNormalization(name=f"{name}_norm")(inner)
    return keras.layers.Add(name=f"{name}_add")([values, keras.layers.ReLU()(inner)])


def tiny(name: str, weights: str, image_size: int) -> keras.Model:
    """A backbone of two residual blocks, with the parts that real ones have."""
    inputs = keras.Input((image_size, image_size, 3))
    values = keras.layers.Rescaling(1 / 127, -1)(inputs)
    values = keras.layers.Conv2D(4, 3, strides=4, use_bias=False, name="stem")(values)
    values = residual(residual(values, "one"), "two")
    values = keras.layers.Dropout(0.2, seed=1)(values)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(values), name="tiny")


class Runs:
    """Fine-tunes, and remembers what was computed, seen and reported."""

    def __init__(self, params: Params, records: RecordSet, device: Device) -> None:
        self.params, self.records, self.device = params, records, device
        self.computed: list[str] = []
        self.batches: list[tuple[str, int, bytes]] = []  # task, epoch, first labels
        self.tasks: list[Task] = []
        self.reported: list[tuple[str, Epoch]] = []
        self.spoil = False  # whether phase "blocks" ends worse than "head"

    def run(self, head: str, seed: int, params: Params | None = None) -> Outcome:
        keras.utils.set_random_seed(0)  # decides the backbone where it has no weights
        real_kept, real_fit = features.kept, loop.fit

        def kept(facts: Any, forward: Any, data: Any, label: str) -> Any:
            def counted(batch: Any) -> Any:
                self.computed.append(label)
                return forward(batch)

            return real_kept(facts, counted, data, label, Path("features"))

        def fit(task: Task, device: Device, report: Any) -> Fitted:
            self.tasks.append(task)

            def training(epoch: int) -> Any:
                batches = list(task.training(epoch))
                first = b"".join(y.numpy().tobytes() for _, y in batches)
                self.batches.append((task.name.rpartition(" ")[2], epoch, first))
                return batches

            fitted = real_fit(replace(task, training=training), device, report)
            if self.spoil and task.name.endswith("blocks"):
                fitted = replace(fitted, best={**fitted.best, "val_accuracy": -1.0})
            return fitted

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(finetune, "kept", kept)
            patch.setattr(finetune, "fit", fit)
            return finetune.finetune(
                params or self.params,
                head,
                seed,
                self.records,
                self.device,
                lambda phase, entry: self.reported.append((phase, entry)),
            )


@pytest.fixture
def runs(
    make_params: Callable[..., Params],
    records: RecordSet,
    cpu: Device,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Runs:
    """On a tiny backbone, in a project of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pretrained, "build", tiny)
    return Runs(settings(make_params), records, cpu)


def backbone_of(outcome: Outcome) -> keras.Model:
    inner = [layer for layer in outcome.model.layers if isinstance(layer, keras.Model)]
    assert len(inner) == 1
    return inner[0]


def validated(outcome: Outcome, records: RecordSet) -> tuple[float, float]:
    return score(compiled_forward(outcome.model), records.ordered("validation", 7))


def changed(before: keras.Model, after: keras.Model) -> set[str]:
    return {
        w.path
        for w, v in zip(before.weights, after.weights, strict=True)
        if not np.array_equal(w.numpy(), v.numpy())
    }


def test_a_real_backbone_trains_its_last_block_and_is_saved_as_it_was_validated(
    make_params: Callable[..., Params],
    records: RecordSet,
    cpu: Device,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    params = settings(make_params, weights="imagenet", head_epochs=1, head_learning_rate=1e-6)
    runs = Runs(params, records, cpu)
    outcome = runs.run("spinal", 1)
    assert [phase for phase, _ in outcome.history] == ["head", "blocks", "blocks"]
    assert outcome.best["epoch"] > 1  # the head alone had no chance
    before = pretrained.build("efficientnet_lite0", "imagenet", SIZE)
    trunk, tail = split(before, 1)
    kernels = {w.path for w in tail.weights if "norm" not in w.path}
    assert changed(before, backbone_of(outcome)) == kernels
    assert kernels and not kernels & {w.path for w in trunk.weights}
    loss, accuracy = validated(outcome, records)
    assert accuracy == outcome.best["val_accuracy"]
    assert loss == pytest.approx(outcome.best["val_loss"], rel=1e-3)
    save(outcome.model, tmp_path / "model.keras")
    images, _ = next(iter(records.ordered("validation", 7)))
    np.testing.assert_array_equal(
        load(tmp_path / "model.keras")(images, training=False),
        outcome.model(images, training=False),
    )


def test_heads_and_seeds_share_features_and_differ_in_nothing_but_the_head(runs: Runs) -> None:
    dense = runs.run("dense", 1)
    computed = list(runs.computed)
    assert len(computed) == 4  # trunk and whole, of two splits of one batch each
    batches, runs.batches = runs.batches, []
    spinal = runs.run("spinal", 1)
    assert runs.batches == batches
    assert [(name, epoch) for name, epoch, _ in batches] == [
        ("head", 0), ("head", 1), ("blocks", 0), ("blocks", 1)
    ]  # fmt: skip
    runs.batches = []
    other = runs.run("spinal", 2)
    assert runs.batches != batches
    assert runs.computed == computed
    assert len(list(Path("features").iterdir())) == 4
    rates = [[task.schedule.rate(s) for s in range(6)] for task in runs.tasks]
    assert rates[:2] == rates[2:4] == rates[4:]
    assert [o.facts["head"] for o in (dense, spinal, other)] == ["dense", "spinal", "spinal"]
    assert dense.facts["data_digest"] == runs.records.digest


def test_equal_runs_are_equal_with_or_without_kept_features(runs: Runs, tmp_path: Path) -> None:
    for name in ("first", "second", "third"):
        save(runs.run("spinal", 1).model, tmp_path / name)
        if name == "second":
            for path in Path("features").iterdir():
                path.unlink()
    assert len({(tmp_path / n).read_bytes() for n in ("first", "second", "third")}) == 1


@pytest.mark.parametrize("spoil", [False, True])
def test_the_better_phase_is_kept(runs: Runs, spoil: bool) -> None:
    runs.spoil = spoil
    outcome = runs.run("dense", 1, None)
    head = [entry for phase, entry in outcome.history if phase == "head"]
    blocks = [entry for phase, entry in outcome.history if phase == "blocks"]
    assert [entry["epoch"] for entry in head + blocks] == [1, 2, 3, 4]
    assert [entry["epoch"] for _, entry in runs.reported] == [1, 2, 1, 2]
    if spoil:
        assert outcome.best in head
        keras.utils.set_random_seed(0)
        assert not changed(tiny("", "none", SIZE), backbone_of(outcome))
    else:
        best = max(head + blocks, key=loop.merit)
        assert loop.merit(outcome.best) == loop.merit(best)
    loss, accuracy = validated(outcome, runs.records)
    assert accuracy == outcome.best["val_accuracy"]
    assert loss == pytest.approx(outcome.best["val_loss"], rel=1e-3)


@pytest.mark.parametrize("changes", [{"unfrozen_blocks": 0}, {"epochs": 0}])
def test_the_head_alone_can_be_all_that_trains(
    runs: Runs, make_params: Callable[..., Params], changes: dict[str, int]
) -> None:
    outcome = runs.run("linear", 1, settings(make_params, **changes))
    assert [phase for phase, _ in outcome.history] == ["head", "head"]
    keras.utils.set_random_seed(0)
    assert not changed(tiny("", "none", SIZE), backbone_of(outcome))
    assert validated(outcome, runs.records)[1] == outcome.best["val_accuracy"]


def test_other_images_are_other_features(runs: Runs, make_params: Callable[..., Params]) -> None:
    runs.run("linear", 1)
    runs.run("linear", 1, settings(make_params, image_size=36))
    assert len(list(Path("features").iterdir())) == 8


def test_other_code_is_other_features(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    runs.run("linear", 1)
    monkeypatch.setattr(finetune, "_code_digest", lambda: "changed")
    runs.run("linear", 1)
    assert len(list(Path("features").iterdir())) == 8


def test_the_file_computes_in_float32_whatever_trained(runs: Runs) -> None:
    """As on a GPU: the network that trains is mixed, features and file are not."""
    runs.device = replace(runs.device, precision="bfloat16", policy="mixed_bfloat16")
    outcome = runs.run("spinal", 1)
    trained = next(task.model for task in runs.tasks if task.name.endswith("blocks"))
    assert "bfloat16" in {layer.compute_dtype for layer in trained._flatten_layers()}
    kinds = {layer.compute_dtype for layer in outcome.model._flatten_layers()}
    assert kinds <= {"float32", "uint8"}
    assert outcome.model.outputs[0].dtype == "float32"
    loss, _ = validated(outcome, runs.records)
    assert loss == pytest.approx(outcome.best["val_loss"], rel=0.05)
    assert tf.keras.config.dtype_policy().name == "float32"
