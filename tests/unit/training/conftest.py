"""Tiny records, a plain device, and trainings that several tests look at."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from quickspine.dataset.prepare.subset import preprocess
from quickspine.dataset.records import write as written
from quickspine.dataset.records.reader import RecordSet, open_records
from quickspine.files import sha256, write_json
from quickspine.params import Params
from quickspine.training import devices, scratch
from quickspine.training.devices import Device
from quickspine.training.loop import Fitted, Task, fit
from quickspine.training.outputs import Outcome
from quickspine.training.progress import Epoch

SIDE = 16
CATEGORIES = ("apple", "cat", "zigzag")
DRAWINGS = {"train": 16, "validation": 10, "test": 4}  # a category


@pytest.fixture(autouse=True)
def _policy_as_before() -> Iterator[None]:
    before = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(before)


@pytest.fixture(scope="session")
def cpu() -> Device:
    return Device(tf.distribute.get_strategy(), "CPU", "float32", "float32", False, False)


@pytest.fixture(scope="session")
def records(tmp_path_factory: pytest.TempPathFactory, params: Params) -> RecordSet:
    """Drawings that a network can learn: noise, with a bright bar that tells the category."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "raw").mkdir()
    random = np.random.default_rng(0)
    entries = []
    for label, category in enumerate(CATEGORIES):
        rows = sum(DRAWINGS.values())
        drawings = random.integers(0, 60, (rows, SIDE, SIDE), np.uint8)
        drawings[:, 5 * label : 5 * label + 3, 2:14] += 150
        path = folder / "raw" / f"{category}.npy"
        np.save(path, drawings.reshape(-1, SIDE * SIDE))
        facts = {"category": category, "file": path.name, "rows": rows, "sha256": sha256(path)}
        entries.append({**facts, "splits": DRAWINGS})
    manifest = {"source": "made up", "synthetic": True, "licence": "none", "attribution": "none"}
    manifest |= {"shape": [SIDE, SIDE, 1], "encoding": "raw", "categories": entries}
    write_json(folder / "raw" / "manifest.json", manifest)
    chosen = {"categories": CATEGORIES, "drawings_per_category": DRAWINGS["test"]}
    data = params.data.model_copy(update=chosen)
    small = params.records.model_copy(update={"shard_mebibytes": 0.005})  # several shards
    params = params.model_copy(update={"data": data})
    preprocess(params, folder / "raw", folder / "subset")
    written.write(small, folder / "raw", folder / "subset", folder / "records")
    return open_records(folder / "records")


@dataclass
class Watched:
    """A training, and what went into it."""

    outcome: Outcome | None  # None: its first batches were enough
    fitted: Fitted | None
    start: dict[str, bytes]  # initial weights by path
    batches: list[list[tuple[bytes, bytes]]]  # drawings and labels that each epoch really saw
    rates: list[float]  # learning rate of every step
    reported: list[Epoch]


@pytest.fixture(scope="session")
def small(make_params: Callable[..., Params]) -> Params:
    """The project's params, as small as they get, with all that is random switched on."""
    return make_params(
        {
            "train.width": 0.03,
            "train.epochs": 2,
            "train.batch_size": 20,
            "train.dropout": 0.3,
            "train.warmup_epochs": 0.5,
            "train.precision": "float32",
            "train.deterministic": True,
            "train.early_stopping": None,
            "train.schedule": "cosine",
            "train.augment": {"rotation": 10.0, "shift": 0.1, "zoom": 0.1},
        }
    )


@pytest.fixture(scope="session")
def trained(small: Params, records: RecordSet) -> dict[str, Watched]:
    """`dense`, the same `again`, `spinal`, and the beginning of a spinal one with `other seed`."""
    runs = {name: _watch(small, records, name, 1) for name in ("dense", "spinal")}
    runs["again"] = _watch(small, records, "dense", 1)
    runs["other seed"] = _watch(small, records, "spinal", 2, begin=True)
    return runs


class _EnoughSeen(Exception):  # noqa: N818
    """Ends a training that is only begun."""


def _watch(
    params: Params, records: RecordSet, head: str, seed: int, *, begin: bool = False
) -> Watched:
    seen: dict[str, Any] = {"batches": [], "fitted": None}
    outcome = None

    def watched_fit(task: Task, device: Device, report: Callable[[Epoch], None]) -> Fitted:
        seen["start"] = {w.path: w.numpy().tobytes() for w in task.model.weights}
        steps = range(task.steps * task.epochs)
        seen["rates"] = [task.schedule.rate(step) for step in steps]

        def training(epoch: int) -> Any:
            batches = list(task.training(epoch))
            told = [(x.numpy().tobytes(), y.numpy().tobytes()) for x, y in batches]
            epochs = range(0, len(told), task.steps)
            seen["batches"] += [told[first : first + task.steps] for first in epochs]
            if begin:
                raise _EnoughSeen
            return batches

        fitted = fit(replace(task, training=training), device, report)
        seen["fitted"] = fitted
        # What trained is used up: the outcome must come from the weights of the best epoch.
        task.model.set_weights([np.zeros_like(weight) for weight in fitted.weights])
        return fitted

    reported: list[Epoch] = []
    device = devices.prepare(params.train, seed)
    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(_EnoughSeen):
        patch.setattr(scratch, "fit", watched_fit)
        outcome = scratch.train(
            params, head, seed, records, device, lambda phase, entry: reported.append(entry)
        )
    return Watched(outcome, reported=reported, **seen)


@pytest.fixture
def labels() -> NDArray[np.int64]:
    return np.random.default_rng(1).integers(0, 3, 15)


@pytest.fixture
def rows() -> NDArray[np.float32]:
    """float32 [15, 6], one row a label."""
    return np.random.default_rng(2).normal(size=(15, 6)).astype(np.float32)


@pytest.fixture
def feature_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where features are kept; locks go beside it, into a temporary project."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "features"
