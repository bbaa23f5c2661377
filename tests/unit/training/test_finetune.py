"""Fine-tuning: what is frozen stays, what is saved is what was validated, features are shared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import pytest

from quickspine.dataset.records.reader import RecordSet
from quickspine.nets import pretrained
from quickspine.nets.pretrained.blocks import split
from quickspine.params import Params
from quickspine.training import features, finetune
from quickspine.training.code import code_digest
from quickspine.training.devices import Device
from quickspine.training.loop import Fitted, Task
from quickspine.training.loop import fit as loop_fit
from quickspine.training.model_file import load, save
from quickspine.training.outputs import Outcome
from quickspine.training.progress import Epoch, merit
from quickspine.training.step import compiled_forward, score

SIZE = 32


def settings(make_params: Callable[..., Params], **changes: Any) -> Params:
    values = {"weights": "none", "image_size": SIZE, "unfrozen_blocks": 1, "batch_size": 16}
    values |= {"dense_width": 6, "spinal_width": 4, "head_epochs": 2, "epochs": 2}
    values |= {"head_learning_rate": 0.01, "learning_rate": 0.003, **changes}
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


def first_tiny() -> keras.Model:
    """The tiny backbone with the weights that every run starts from."""
    keras.utils.set_random_seed(0)
    return tiny("", "none", SIZE)


class Runs:
    """Fine-tunes, and remembers what was computed, seen and reported."""

    def __init__(self, params: Params, records: RecordSet, device: Device) -> None:
        self.params, self.records, self.device = params, records, device
        self.computed: list[str] = []
        self.batches: list[tuple[str, int, bytes]] = []  # task, epoch, labels
        self.tasks: list[Task] = []
        self.reported: list[tuple[str, Epoch]] = []
        self.spoil = False  # whether phase "blocks" ends worse than "head"

    def run(self, head: str, seed: int, params: Params | None = None) -> Outcome:
        keras.utils.set_random_seed(0)  # decides the backbone where it has no weights
        real_kept, real_fit = features.kept, loop_fit

        def kept(facts: Any, forward: Any, data: Any, label: str, examples: int) -> Any:
            def counted(batch: Any) -> Any:
                self.computed.append(label)
                return forward(batch)

            return real_kept(facts, counted, data, label, examples, Path("features"))

        def fit(task: Task, device: Device, report: Any) -> Fitted:
            self.tasks.append(task)

            def training(epoch: int) -> Any:
                batches = list(task.training(epoch))
                for number in range(len(batches) // task.steps):
                    own = batches[number * task.steps : (number + 1) * task.steps]
                    told = b"".join(y.numpy().tobytes() for _, y in own)
                    self.batches.append((task.name.rpartition(" ")[2], epoch + number, told))
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


def check_validated(outcome: Outcome, records: RecordSet) -> None:
    """What is saved answers as it did when it was the best."""
    loss, accuracy = score(compiled_forward(outcome.model), records.ordered("validation", 7))
    assert accuracy == outcome.best["val_accuracy"]
    assert loss == pytest.approx(outcome.best["val_loss"], rel=1e-3)


def changed(before: keras.Model, after: keras.Model) -> set[str]:
    return {
        w.path
        for w, v in zip(before.weights, after.weights, strict=True)
        if not np.array_equal(w.numpy(), v.numpy())
    }


@pytest.mark.slow
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
    outcome = runs.run("spinal", 2)
    assert [phase for phase, _ in outcome.history] == ["head", "blocks", "blocks"]
    assert outcome.best["epoch"] > 1  # the head alone had no chance
    before = pretrained.build("efficientnet_lite0", "imagenet", SIZE)
    trunk, tail = split(before, 1)
    kernels = {w.path for w in tail.weights if "norm" not in w.path}
    assert changed(before, backbone_of(outcome)) == kernels
    assert kernels
    assert not kernels & {w.path for w in trunk.weights}
    check_validated(outcome, records)
    save(outcome.model, tmp_path / "model.keras")
    images, _ = next(iter(records.ordered("validation", 7)))
    np.testing.assert_array_equal(
        load(tmp_path / "model.keras")(images, training=False),
        outcome.model(images, training=False),
    )


@dataclass
class Shared:
    """Several heads and seeds, one after the other, in one project."""

    runs: Runs
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    batches: dict[str, list[tuple[str, int, bytes]]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def shared(
    make_params: Callable[..., Params],
    records: RecordSet,
    cpu: Device,
    tmp_path_factory: pytest.TempPathFactory,
) -> Shared:
    """Heads and seeds compute the features of trunk and whole, of two splits of one batch, once."""
    runs = Runs(settings(make_params), records, cpu)
    found = Shared(runs)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("shared"))
        patch.setattr(pretrained, "build", tiny)
        for name in ("dense 1", "spinal 1", "spinal 2"):
            head, seed = name.split()
            runs.batches = []
            found.outcomes[name] = runs.run(head, int(seed))
            found.batches[name] = runs.batches
            assert len(runs.computed) == len(list(Path("features").iterdir())) == 4
    return found


def test_heads_differ_in_nothing_but_the_head(shared: Shared) -> None:
    batches = shared.batches["dense 1"]
    phases = [(name, epoch) for name, epoch, _ in batches]
    assert phases == [("head", 0), ("head", 1), ("blocks", 0), ("blocks", 1)]
    assert shared.batches["spinal 1"] == batches
    assert shared.batches["spinal 2"] != batches
    rates = [[task.schedule.rate(step) for step in range(6)] for task in shared.runs.tasks]
    assert rates[:2] == rates[2:4] == rates[4:]
    facts = [outcome.facts for outcome in shared.outcomes.values()]
    assert [each["head"] for each in facts] == ["dense", "spinal", "spinal"]
    assert [each["seed"] for each in facts] == [1, 1, 2]
    assert {each["data_digest"] for each in facts} == {shared.runs.records.digest}
    assert len({each["weights_digest"] for each in facts}) == 1
    assert facts[1]["code_digest"] == facts[2]["code_digest"] == code_digest("finetune", "spinal")


@pytest.mark.slow
def test_equal_runs_are_equal_with_and_without_kept_features(
    shared: Shared, runs: Runs, tmp_path: Path
) -> None:
    save(shared.outcomes["spinal 1"].model, tmp_path / "kept")
    save(runs.run("spinal", 1).model, tmp_path / "anew")
    assert len(runs.computed) == 4
    assert (tmp_path / "kept").read_bytes() == (tmp_path / "anew").read_bytes()


@pytest.mark.parametrize("run", ["dense 1", "spinal 1", "spinal 2"])
def test_what_is_saved_is_the_best_epoch_of_both_phases(shared: Shared, run: str) -> None:
    outcome = shared.outcomes[run]
    entries = [entry for _, entry in outcome.history]
    assert [entry["epoch"] for entry in entries] == [1, 2, 3, 4]
    assert outcome.best == max(entries, key=merit)
    check_validated(outcome, shared.runs.records)


@pytest.mark.slow
def test_blocks_that_get_worse_are_forgotten(runs: Runs) -> None:
    runs.spoil = True
    outcome = runs.run("dense", 1)
    assert outcome.best in [entry for phase, entry in outcome.history if phase == "head"]
    assert [entry["epoch"] for _, entry in runs.reported] == [1, 2, 1, 2]
    assert not changed(first_tiny(), backbone_of(outcome))
    check_validated(outcome, runs.records)


@pytest.mark.parametrize("changes", [{"unfrozen_blocks": 0}, {"epochs": 0}])
def test_the_head_alone_can_be_all_that_trains(
    runs: Runs, make_params: Callable[..., Params], changes: dict[str, int]
) -> None:
    outcome = runs.run("linear", 1, settings(make_params, **changes))
    assert [phase for phase, _ in outcome.history] == ["head", "head"]
    assert not changed(first_tiny(), backbone_of(outcome))
    check_validated(outcome, runs.records)


@pytest.mark.slow
def test_all_blocks_train_by_the_paper_s_recipe(
    runs: Runs, make_params: Callable[..., Params]
) -> None:
    """SGD with momentum, and a rate that falls in steps; features are the images themselves."""
    course = {"optimizer": "sgd", "schedule": "step", "step_epochs": 1, "step_factor": 0.1}
    changes = {**course, "head_epochs": 1, "head_learning_rate": 1e-9, "warmup_epochs": 0.0}
    params = settings(make_params, unfrozen_blocks="all", **{**changes, "learning_rate": 0.01})
    outcome = runs.run("spinal", 1, params)
    rates = [entry["learning_rate"] for _, entry in outcome.history]
    assert rates == pytest.approx([1e-9, 0.01, 0.001])
    assert outcome.best["epoch"] > 1  # the head alone had no chance
    assert runs.tasks[-1].model.input_shape == (None, SIZE, SIZE, 3)
    before = first_tiny()
    kernels = {w.path for w in before.weights if "conv" in w.path or "stem" in w.path}
    assert len(kernels) == 3
    assert changed(before, backbone_of(outcome)) == kernels  # and no normalisation
    check_validated(outcome, runs.records)
    as_many: tuple[int | Literal["all"], ...] = (2, "all")
    for blocks in as_many:
        trunk, tail = split(before, blocks)
        assert (len(trunk.weights), len(tail.weights)) == (0, len(before.weights))


@pytest.mark.slow
def test_other_images_or_code_are_other_features(
    runs: Runs, make_params: Callable[..., Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    short = settings(make_params, head_epochs=1, epochs=0)
    runs.run("linear", 1, short)
    runs.run("linear", 1, settings(make_params, head_epochs=1, epochs=0, image_size=36))
    monkeypatch.setattr(finetune, "code_digest", lambda *places: "changed")
    runs.run("linear", 1, short)
    assert len(runs.computed) == 12


@pytest.mark.slow
def test_the_file_computes_in_float32_whatever_trained(runs: Runs) -> None:
    """As in bfloat16: the network that trains is mixed, features and file are not."""
    runs.device = replace(runs.device, precision="bfloat16", policy="mixed_bfloat16")
    outcome = runs.run("spinal", 1)
    trained = next(task.model for task in runs.tasks if task.name.endswith("blocks"))
    assert "bfloat16" in {layer.compute_dtype for layer in trained._flatten_layers()}
    kinds = {layer.compute_dtype for layer in outcome.model._flatten_layers()}
    assert kinds <= {"float32", "uint8"}
    assert outcome.model.outputs[0].dtype == "float32"
    loss, _ = score(compiled_forward(outcome.model), runs.records.ordered("validation", 7))
    assert loss == pytest.approx(outcome.best["val_loss"], rel=0.05)
    assert keras.config.dtype_policy().name == "float32"
