"""What the trained models answer on the test split, and how fast."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from quickspine.dataset.records.reader import RecordSet
from quickspine.errors import InputError
from quickspine.evaluation import costs
from quickspine.evaluation.metrics import Costs, ModelRun
from quickspine.evaluation.trained import Trained
from quickspine.training.model_file import load


def answer(
    trained: Trained, records: RecordSet, repeats: int, timed: Sequence[int] = (1,)
) -> ModelRun:
    """Load a model, let it answer the test split, count its costs and time it.

    Args:
        trained: which.
        records: the data.
        repeats: timed answers.
        timed: numbers of drawings at once to time it on.

    Raises:
        InputError: if the model cannot be loaded or is for other categories.
    """
    path = trained.folder / "model.keras"
    remedy = f"run: dvc repro -f {trained.made_by}"
    try:
        model = load(path)
    except ValueError as error:
        raise InputError(f"{path}: {error}; {remedy}") from None
    _check_ends(model, records, path, remedy)
    forward = tf.function(lambda images: model(images, training=False), reduce_retracing=True)
    batches = [forward(images).numpy() for images, _ in records.ordered("test", 256)]
    return ModelRun(
        stage=trained.stage,
        head=trained.head,
        seed=trained.seed,
        logits=np.concatenate(batches).astype(np.float32),
        costs=_costs(trained, model, records.shape, repeats, timed),
        validation_accuracy=float(trained.metrics["val_accuracy"]),
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
        raise InputError(
            f"{path}: maps {ends[0]} to {ends[1]}, the data needs {wanted[0]} to {wanted[1]}; "
            f"{remedy}"
        )


def _costs(
    trained: Trained,
    model: keras.Model,
    shape: tuple[int, int, int],
    repeats: int,
    timed: Sequence[int],
) -> Costs:
    weights, activations = costs.memory(model)
    return Costs(
        parameters=int(trained.metrics["parameters"]),
        head_parameters=int(trained.metrics["head_parameters"]),
        multiplications=costs.multiplications(model),
        head_multiplications=costs.multiplications(model.get_layer("head")),
        weights_bytes=weights,
        activations_bytes=activations,
        latency={count: costs.latency(model, shape, count, repeats) for count in timed},
        training_seconds=trained.seconds,
    )


def labels_of(records: RecordSet) -> NDArray[np.int64]:
    """The labels of the test split, int64 [n], in the order of the answers."""
    return np.concatenate([labels.numpy() for _, labels in records.ordered("test", 4096)])
