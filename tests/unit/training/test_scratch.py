"""The comparison's fairness: for one seed every head gets the same everything else."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from quickspine.dataset.records.reader import RecordSet
from quickspine.params import Params
from quickspine.training import devices, scratch
from quickspine.training.code import code_digest
from quickspine.training.model_file import load, save
from quickspine.training.step import compiled_forward, score

Trainings = dict[str, Any]  # of conftest's Watched

DENSE, AGAIN, SPINAL, OTHER = "dense", "again", "spinal", "other seed"


def of_backbone(weights: dict[str, bytes]) -> dict[str, bytes]:
    return {path: value for path, value in weights.items() if not path.startswith("head/")}


def test_both_heads_start_from_the_same_backbone(trained: Trainings) -> None:
    dense, spinal = (of_backbone(trained[run].start) for run in (DENSE, SPINAL))
    assert len(dense) == 60
    assert dense == spinal
    assert len(trained[DENSE].start) > len(dense)  # there is a head too


def test_both_heads_see_the_same_drawings_in_the_same_order_changed_alike(
    trained: Trainings,
) -> None:
    dense, spinal = trained[DENSE].batches, trained[SPINAL].batches
    assert [len(epoch) for epoch in dense] == [2, 2]
    assert dense == spinal
    assert dense[0] != dense[1]  # every epoch in another order


def test_both_heads_get_the_same_rates_and_report_alike(trained: Trainings) -> None:
    assert trained[DENSE].rates == trained[SPINAL].rates
    assert len(set(trained[DENSE].rates)) > 2
    for run in (trained[name] for name in (DENSE, AGAIN, SPINAL)):
        history = run.fitted.history
        assert [entry["learning_rate"] for entry in history] == run.rates[1::2]
        assert run.reported == history
        assert run.outcome.history == [("train", entry) for entry in history]


def test_equal_trainings_are_equal_bit_for_bit(trained: Trainings) -> None:
    first, again = trained[DENSE], trained[AGAIN]
    assert (first.start, first.batches) == (again.start, again.batches)
    assert first.fitted.history == again.fitted.history
    for a, b in zip(first.fitted.weights, again.fitted.weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_another_seed_is_another_start_and_order(trained: Trainings) -> None:
    spinal, other = trained[SPINAL], trained[OTHER]
    for path, value in of_backbone(spinal.start).items():
        if path.endswith("kernel"):
            assert other.start[path] != value
    drawings = [{x for x, _ in run.batches[0]} for run in (spinal, other)]
    assert not drawings[0] & drawings[1]


@pytest.mark.parametrize("run", [DENSE, SPINAL])
def test_the_model_is_that_of_the_best_epoch(
    trained: Trainings, records: RecordSet, run: str
) -> None:
    outcome = trained[run].outcome
    loss, accuracy = score(compiled_forward(outcome.model), records.ordered("validation", 7))
    assert accuracy == outcome.best["val_accuracy"]
    assert loss == pytest.approx(outcome.best["val_loss"], rel=1e-4)
    ranks = [(entry["val_accuracy"], -entry["val_loss"]) for _, entry in outcome.history]
    assert ranks.index(max(ranks)) == outcome.best["epoch"] - 1


def test_the_facts_name_what_was_trained(
    trained: Trainings, small: Params, records: RecordSet
) -> None:
    facts = trained[SPINAL].outcome.facts
    assert facts == {
        "stage": "train",
        "head": "spinal",
        "seed": 1,
        "backbone": "vgg5",
        "data_digest": records.digest,
        "params_digest": small.digest("train"),
        "code_digest": code_digest("train", "spinal"),
        "precision": "float32",
    }


# --- in bfloat16 ------------------------------------------------------------------------------


def convolutions(model: keras.Model) -> list[type]:
    found = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    return [type(layer) for layer in found]


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_the_file_has_plain_float32_layers_whatever_trained(
    small: Params, records: RecordSet, precision: str, tmp_path: Path
) -> None:
    chosen = small.train.model_copy(update={"precision": precision, "epochs": 1})
    params = small.model_copy(update={"train": chosen})
    device = devices.prepare(chosen, 1)
    outcome = scratch.train(params, "spinal", 1, records, device, lambda phase, entry: None)
    assert outcome.facts["precision"] == precision
    save(outcome.model, tmp_path / "model.keras")
    assert b"TunedConvolution" not in (tmp_path / "model.keras").read_bytes()
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        config = archive.read("config.json").decode()
    assert '"Conv2D"' in config
    assert "TunedConvolution" not in config
    assert "bfloat16" not in config
    for model in (outcome.model, load(tmp_path / "model.keras")):
        assert convolutions(model) == [keras.layers.Conv2D] * 10
        assert {layer.compute_dtype for layer in model._flatten_layers()} <= {"float32", "uint8"}
        loss, _ = score(compiled_forward(model), records.ordered("validation", 7))
        assert loss == pytest.approx(outcome.best["val_loss"], rel=0.05)
