"""Several devices train as one: gradients are summed exactly once, whatever the shares."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quickspine.dataset.records.reader import RecordSet
from quickspine.params import Params

pytestmark = pytest.mark.slow
PROGRAM = Path(__file__).with_name("two_replicas.py")


@pytest.fixture(scope="module")
def found(
    make_params: Callable[..., Params],
    records: RecordSet,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    """What `two_replicas.py` prints."""
    sizes = {"image_size": 32, "spinal_width": 4, "head_epochs": 1, "epochs": 1, "batch_size": 15}
    rest = {"unfrozen_blocks": 1, "dropout": 0.0, "batch_norm": False, "weights": "none"}
    params = make_params({f"finetune.{name}": v for name, v in {**sizes, **rest}.items()})
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(records.folder), params.model_dump_json()],
        capture_output=True,
        text=True,
        timeout=600,
        cwd=tmp_path_factory.mktemp("replicas"),
    )
    assert done.returncode == 0, done.stderr[-4000:]
    results: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return results


@pytest.mark.parametrize(
    "case", ["even", "momentum", "uneven, then empty", "compiled", "fine-tuned"]
)
def test_two_replicas_come_to_the_weights_of_one(found: dict[str, Any], case: str) -> None:
    """Without dropout and batch statistics, which each replica has for itself."""
    result = found[case]
    assert result["furthest"] < 2e-5
    for alone, together in zip(result["alone"], result["together"], strict=True):
        assert alone == pytest.approx(together, rel=1e-4, abs=1e-6)
    first, last = result["alone"][0], result["alone"][-1]
    assert last["val_loss"] < first["val_loss"]  # it did train


def test_dropout_and_normalisation_work_with_an_empty_share(found: dict[str, Any]) -> None:
    """15 rows in batches of 7: the last batch has one row, and one replica none."""
    result = found["all switched on"]
    assert result["finite"]
    assert all(entry["loss"] < 3 for entry in result["together"])
    assert [round(entry["accuracy"] * 15, 6) % 1 for entry in result["together"]] == [0, 0]


def test_a_training_killed_on_two_replicas_ends_with_the_same_bits(found: dict[str, Any]) -> None:
    assert found["resumed"]["equal"]
