from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from quickspine.errors import InputError
from quickspine.evaluation.candidates import candidates
from quickspine.evaluation.trained import Trained


def trained(**changes: Any) -> Trained:
    metrics: dict[str, Any] = {"model_digest": "m" * 64, "params_digest": "p" * 64}
    metrics |= {"val_accuracy": 0.75, "val_loss": 1.5, "accuracy": 1.0}
    metrics = {key: value for key, value in (metrics | changes).items() if value is not ...}
    return Trained("train", "spinal", 2, Path("models/train-spinal-2"), metrics, [])


def test_a_candidate_is_judged_by_validation() -> None:
    (found,) = candidates([trained(test_accuracy=0.9)])
    assert (found.name, found.accuracy, found.loss) == ("train-spinal-2", 0.75, 1.5)
    assert (found.model_digest, found.params_digest) == ("m" * 64, "p" * 64)


@pytest.mark.parametrize(
    "changes",
    [
        {"val_accuracy": ...},
        {"val_accuracy": 1.5},
        {"val_accuracy": "0.5"},
        {"val_loss": float("nan")},
        {"params_digest": None},
    ],
)
def test_what_a_training_did_not_note_is_named(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        candidates([trained(), trained(**changes)])
    assert str(caught.value).startswith("models/train-spinal-2/metrics.json: damaged (")
    assert next(iter(changes)) in str(caught.value)
    assert str(caught.value).endswith("run: dvc repro -f train@spinal-2")
