"""A training as a stage runs it: nothing is written of data that are others now."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from quickspine.dataset.records.reader import RecordSet, open_records
from quickspine.errors import InputError
from quickspine.files import read_json, write_json
from quickspine.params import Params
from quickspine.training import devices, scratch, session
from quickspine.training.devices import Device


@pytest.mark.slow
def test_records_replaced_while_they_train_are_refused(
    small: Params,
    records: RecordSet,
    cpu: Device,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(records.folder, tmp_path / "records")
    own = open_records(tmp_path / "records")

    def replaced(*arguments: Any, **options: Any) -> Any:
        outcome = scratch.train(*arguments, **options)
        manifest = read_json(own.folder / "manifest.json", "tfrecords")
        write_json(own.folder / "manifest.json", {**manifest, "licence": "another"})
        return outcome

    monkeypatch.setattr(devices, "prepare", lambda section, seed: cpu)
    off = small.tracking.model_copy(update={"enabled": False})
    params = small.model_copy(update={"tracking": off})
    place = tmp_path / "models" / "train-spinal-1"
    with pytest.raises(InputError, match=r"manifest\.json: replaced while it was read"):
        session.run(replaced, params, "train", "spinal", 1, own, place)
    assert not place.exists()
    assert "hint: an epoch has only 2 steps" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("stage", "batch_size", "examples", "steps"),
    [
        ("train", 64, 1279, 19),
        ("train", 64, 1280, None),
        ("train", 64, 10, 1),
        ("finetune", 64, 100, None),
    ],
)
def test_a_hint_where_an_epoch_has_few_steps(
    stage: session.Stage, batch_size: int, examples: int, steps: int | None
) -> None:
    hint = session.few_steps_hint(stage, batch_size, examples)
    assert (hint is None) == (steps is None)
    assert hint is None or f"only {steps} steps" in hint
