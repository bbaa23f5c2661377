"""What the trained models answer on the test split, and how fast."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from quickspine.dataset.reader import RecordSet
from quickspine.errors import WrongInputError
from quickspine.evaluation.metrics import ModelRun
from quickspine.evaluation.trained import Trained
from quickspine.training.model_file import load

WARM_UP = 5  # predictions before the timed ones


def answer(trained: Trained, records: RecordSet, repeats: int) -> ModelRun:
    """Load a model, let it answer the test split, and time it on one drawing.

    Raises:
        WrongInputError: if the model cannot be loaded or is for other categories.
    """
    path = trained.folder / "model.keras"
    remedy = f"run: dvc repro -f {trained.made_by}"
    try:
        model = load(path)
    except ValueError as error:
        raise WrongInputError(f"{path}: {error}; {remedy}") from None
    _check_ends(model, records, path, remedy)
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


def _check_ends(model: keras.Model, records: RecordSet, path: Path, remedy: str) -> None:
    """Whether the model takes these drawings and answers with a logit for each category."""
    ends = [
        [(tuple(tensor.shape), tensor.dtype) for tensor in tensors]
        for tensors in (model.inputs, model.outputs)
    ]
    wanted = [
        [((None, *records.shape), "uint8")],
        [((None, len(records.categories)), "float32")],
    ]
    if ends != wanted:
        raise WrongInputError(
            f"{path}: maps {ends[0]} to {ends[1]}, the data needs {wanted[0]} to {wanted[1]}; "
            f"{remedy}"
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
