"""What a training leaves: three files, whole or not at all, equal bytes for equal trainings."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from quickspine.dataset.records.reader import RecordSet
from quickspine.evaluation.trained import _open
from quickspine.files import sha256
from quickspine.params import Params
from quickspine.training import outputs
from quickspine.training.model_file import parameters

Trainings = dict[str, Any]  # of conftest's Watched


def test_equal_trainings_leave_equal_bytes(trained: Trainings, tmp_path: Path) -> None:
    for run in ("dense", "again", "spinal"):
        outputs.write(trained[run].outcome, tmp_path / run)
    names = ["history.csv", "metrics.json", "model.keras"]
    for run in ("dense", "again"):
        assert sorted(path.name for path in (tmp_path / run).iterdir()) == names
    for name in names:
        dense, again, spinal = (
            sha256(tmp_path / run / name) for run in ("dense", "again", "spinal")
        )
        assert dense == again != spinal


def test_metrics_say_what_the_model_is(trained: Trainings, tmp_path: Path) -> None:
    outcome = trained["spinal"].outcome
    metrics = outputs.write(outcome, tmp_path / "model")
    assert json.loads((tmp_path / "model/metrics.json").read_text()) == metrics
    assert metrics["model_digest"] == sha256(tmp_path / "model/model.keras")
    assert metrics["parameters"] == parameters(outcome.model)
    assert metrics["head_parameters"] == parameters(outcome.model.get_layer("head"))
    assert metrics["epochs"] == 2
    assert metrics["best_epoch"] == outcome.best["epoch"]
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert metrics[name] == outcome.best[name]
    assert metrics.items() >= outcome.facts.items()


def test_the_history_holds_every_epoch_to_the_last_digit(
    trained: Trainings, tmp_path: Path
) -> None:
    outcome = trained["dense"].outcome
    outputs.write(outcome, tmp_path / "model")
    with (tmp_path / "model/history.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == outputs.COLUMNS
    assert [row["phase"] for row in rows] == ["train", "train"]
    for row, (_, entry) in zip(rows, outcome.history, strict=True):
        assert {name: float(row[name]) for name in entry} == entry


def test_evaluate_reads_what_was_left(
    trained: Trainings, small: Params, records: RecordSet, tmp_path: Path
) -> None:
    outputs.write(trained["spinal"].outcome, tmp_path / "train-spinal-1")
    found = _open(small, "train", "spinal", 1, tmp_path, records.digest)
    assert found.digest == sha256(tmp_path / "train-spinal-1/model.keras")
    assert len(found.history) == 2


@pytest.mark.parametrize("broken", ["save", "sha256", "write_json"])
def test_a_failure_leaves_what_was_there(
    trained: Trainings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    place = tmp_path / "model"
    outputs.write(trained["dense"].outcome, place)
    before = {path.name: path.read_bytes() for path in place.iterdir()}

    def fail(*args: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(outputs, broken, fail)
    for folder in (place, tmp_path / "new"):
        with pytest.raises(OSError, match="no space left"):
            outputs.write(trained["spinal"].outcome, folder)
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
