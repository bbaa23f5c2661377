"""The test split is evaluate's alone, and evaluate looks at nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quickspine.dataset.records.reader import RecordSet
from quickspine.evaluation import predict
from quickspine.evaluation.trained import Trained
from quickspine.params import Params
from quickspine.training import outputs, scratch
from quickspine.training.devices import Device
from quickspine.training.model_file import load


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The splits that were read so far."""
    seen: set[str] = set()
    shards = RecordSet.shards

    def spying(self: RecordSet, split: str, *rest: Any, **named: Any) -> Any:
        seen.add(split)
        return shards(self, split, *rest, **named)

    monkeypatch.setattr(RecordSet, "shards", spying)
    return seen


@pytest.mark.slow
def test_each_stage_reads_its_own_splits(
    small: Params, records: RecordSet, cpu: Device, read: set[str], tmp_path: Path
) -> None:
    outcome = scratch.train(small, "spinal", 1, records, cpu, lambda phase, entry: None)
    assert read == {"train", "validation"}

    metrics = outputs.write(outcome, tmp_path / "train-spinal-1")
    read.clear()
    trained = Trained("train", "spinal", 1, tmp_path / "train-spinal-1", metrics, [])
    run = predict.Network(trained, records, repeats=1).predict(trained)
    labels = records.labels("test")
    assert read == {"test"}

    images, expected = next(iter(records.ordered("test", 10_000)))
    assert np.array_equal(labels, expected.numpy())
    model = load(tmp_path / "train-spinal-1" / "model.keras")
    np.testing.assert_allclose(run.logits, model(images).numpy(), rtol=1e-4, atol=1e-5)
