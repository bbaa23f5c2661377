"""The trained models under `models/`: which there should be, and what they answer."""

from __future__ import annotations

import csv
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from quickspine.dataset.reader import RecordSet
from quickspine.errors import WrongInputError
from quickspine.evaluation.metrics import ModelRun
from quickspine.files import read_json, sha256
from quickspine.params import Params
from quickspine.training.model_file import load

WARM_UP = 5  # predictions before the timed ones
STAGES: tuple[Literal["train", "finetune"], ...] = ("train", "finetune")


@dataclass(frozen=True)
class Trained:
    """A model folder that belongs to the data, and what it holds beside the model."""

    stage: Literal["train", "finetune"]
    head: str
    seed: int
    folder: Path
    metrics: dict[str, Any]
    history: list[dict[str, Any]]

    @property
    def digest(self) -> str:
        """sha256 of `model.keras`."""
        return str(self.metrics["model_digest"])


def find(params: Params, folder: Path, data_digest: str) -> list[Trained]:
    """All models that `params` asks for, checked before the first is loaded.

    Raises:
        WrongInputError: naming the first that is missing, damaged, or trained on other data.
    """
    found = []
    for stage in STAGES:
        for head in params.heads:
            for seed in params.seeds:
                found.append(_open(stage, head, seed, folder, data_digest))
    return found


def _open(
    stage: Literal["train", "finetune"], head: str, seed: int, models: Path, data_digest: str
) -> Trained:
    name = f"{stage}@{head}-{seed}"
    folder = models / f"{stage}-{head}-{seed}"
    metrics = read_json(folder / "metrics.json", name)
    file = folder / "model.keras"
    if not file.is_file() or sha256(file) != metrics.get("model_digest"):
        raise WrongInputError(f"{file}: not the model that was trained; run: dvc repro -f {name}")
    if metrics.get("data_digest") != data_digest:
        raise WrongInputError(f"{file}: trained on other drawings; run: dvc repro {name}")
    try:
        with (folder / "history.csv").open(newline="", encoding="utf-8") as lines:
            history = [_numbers(row) for row in csv.DictReader(lines)]
    except (OSError, ValueError) as error:
        raise WrongInputError(
            f"{folder / 'history.csv'}: {error}; run: dvc repro -f {name}"
        ) from None
    return Trained(stage, head, seed, folder, metrics, history)


def _numbers(row: dict[str, str]) -> dict[str, Any]:
    return {key: value if key == "phase" else float(value) for key, value in row.items()}


def answer(trained: Trained, records: RecordSet, repeats: int) -> ModelRun:
    """Load a model, let it answer the test split, and time it on one drawing.

    Raises:
        WrongInputError: if the model cannot be loaded or is for other categories.
    """
    path = trained.folder / "model.keras"
    try:
        model = load(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WrongInputError(f"{path}: {error}; train it again with dvc repro -f") from None
    wanted = (None, *records.shape), (None, len(records.categories))
    if (model.input_shape, model.output_shape) != wanted:
        raise WrongInputError(
            f"{path}: maps {model.input_shape} to {model.output_shape}, the data needs "
            f"{wanted[0]} to {wanted[1]}; run: dvc repro"
        )
    forward = tf.function(lambda images: model(images, training=False), reduce_retracing=True)
    batches = [forward(images).numpy() for images, _ in records.ordered("test", 256)]
    return ModelRun(
        stage=trained.stage,
        head=trained.head,
        seed=trained.seed,
        logits=np.concatenate(batches).astype(np.float32),
        parameters=int(trained.metrics["parameters"]),
        head_parameters=int(trained.metrics["head_parameters"]),
        latency_ms=latency_ms(model, records.shape, repeats),
        history=trained.history,
    )


def latency_ms(model: keras.Model, shape: tuple[int, int, int], repeats: int) -> float:
    """Median milliseconds from one drawing to its logits, after a warm-up."""
    signature = [tf.TensorSpec((1, *shape), tf.uint8)]
    one = tf.function(lambda image: model(image, training=False), input_signature=signature)
    image = tf.zeros((1, *shape), tf.uint8)
    times = []
    for repeat in range(WARM_UP + repeats):
        start = time.perf_counter()
        one(image).numpy()
        if repeat >= WARM_UP:
            times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def labels_of(records: RecordSet) -> NDArray[np.int64]:
    """The labels of the test split, int64 [n], in the order of the answers."""
    return np.concatenate([labels.numpy() for _, labels in records.ordered("test", 4096)])
