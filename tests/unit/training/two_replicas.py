"""Trains on one device and on two replicas, in a process of its own, and prints what came out.

Logical devices must be set before TensorFlow starts, hence a program that test_replicas.py runs.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import keras
import numpy as np
import tensorflow as tf

from quickspine.dataset.records.reader import open_records
from quickspine.nets import pretrained
from quickspine.nets.heads.spinal import SpinalHead
from quickspine.params import Params
from quickspine.training import checkpoints, features, loop, step
from quickspine.training.checkpoints import Checkpoint
from quickspine.training.devices import Device
from quickspine.training.finetune import finetune
from quickspine.training.loop import Task, fit
from quickspine.training.optimizers import Maker, MomentumSGD, adam
from quickspine.training.schedules import Cosine

ROWS = np.random.default_rng(0).normal(size=(15, 9)).astype(np.float32)
RANDOM = "all switched on"  # dropout and normalisation: each replica has its own
LABELS = np.random.default_rng(1).integers(0, 3, 15)


def head(
    device: Device,
    batch: int,
    *,
    plain: bool = True,
    momentum: float | None = None,
    generated: bool = False,
    checkpoint: Checkpoint | None = None,
    **settings: Any,
) -> Any:
    """Train a spinal head on all rows for two epochs."""
    keras.utils.clear_session()  # names count from the start, and dropout depends on them
    with device.strategy.scope():
        inputs = keras.Input((9,))
        outputs = SpinalHead(3, width=5, sub_layers=2, seed=3, name="head", **settings)(inputs)
        model = keras.Model(inputs, outputs)
    data = tf.data.Dataset.from_tensor_slices((ROWS, LABELS))
    made: Maker = plain_descent if plain else adam
    made = made if momentum is None else partial(MomentumSGD, momentum=momentum)
    batches = features.shuffled(ROWS, LABELS, batch, seed=1, epochs=2)
    task = Task(
        name="head",
        model=model,
        training=batches if generated else lambda epoch: data.batch(batch).repeat(),
        validation=data.batch(7),
        steps=-(-15 // batch),
        epochs=2,
        schedule=Cosine(0.1 if plain else 0.01, 8),
        seed=1,
        checkpoint=checkpoint,
        optimizer=made,
    )
    fitted = fit(task, device, lambda entry: None)
    return fitted.weights, fitted.history


def plain_descent(rate: float) -> keras.optimizers.Optimizer:
    """Stands for Adam, which would hide gradients that are twice too large."""
    return keras.optimizers.SGD(rate)


def resumed(device: Device, place: Path) -> bool:
    """Whether a training that was killed on two replicas ends with the bits of one that was not."""
    train = partial(head, device, 5, plain=False, dropout=0.3, batch_norm=True, generated=True)
    whole, course = train()
    real, steps = step.compiled_step, itertools.count()

    def struck(*given: Any) -> Any:
        compiled = real(*given)

        def one(batch: Any) -> Any:
            if next(steps) == 4:
                raise ZeroDivisionError
            return compiled(batch)

        return one

    kept = Checkpoint("two", place, {})
    with (
        mock.patch.object(loop, "compiled_step", struck),
        mock.patch.object(checkpoints, "EVERY_S", 0.0),
        contextlib.suppress(ZeroDivisionError),
    ):
        train(checkpoint=kept)
    weights, history = train(checkpoint=kept)
    same = [a.tobytes() == b.tobytes() for a, b in zip(weights, whole, strict=True)]
    return all(same) and history == course and kept.resumed == "epoch 2, step 2"


def tiny(name: str, weights: str, image_size: int) -> keras.Model:
    """A backbone with one block to train."""
    inputs = keras.Input((image_size, image_size, 3))
    values = keras.layers.Conv2D(4, 3, strides=4)(inputs)
    inner = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 1)(values))
    values = keras.layers.Add()([values, inner])
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(values), name="tiny")


def tuned(device: Device, params: Params, folder: Path) -> Any:
    """Fine-tune both phases on the tiny backbone."""
    keras.utils.set_random_seed(0)
    outcome = finetune(params, "spinal", 1, open_records(folder), device, lambda *entry: None)
    return outcome.model.get_weights(), [entry for _, entry in outcome.history]


def main() -> None:
    folder, params = Path(sys.argv[1]), Params.model_validate_json(sys.argv[2])
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    tf.config.experimental.enable_op_determinism()
    pretrained.build = tiny
    one = Device(tf.distribute.get_strategy(), "CPU", "float32", "float32", False, False)
    two = replace(one, strategy=tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
    cases: dict[str, tuple[Callable[[Device], Any], Device]] = {
        "even": (lambda device: head(device, 5, generated=True), two),
        "momentum": (lambda device: head(device, 5, momentum=0.9), two),
        "uneven, then empty": (lambda device: head(device, 7), two),
        "compiled": (lambda device: head(device, 5), replace(two, compiled=True)),
        RANDOM: (lambda d: head(d, 7, plain=False, dropout=0.3, batch_norm=True), two),
        "fine-tuned": (lambda device: tuned(device, params, folder), two),
    }
    found: dict[str, dict[str, Any]] = {}
    for name, (train, device) in cases.items():
        weights, history = train(device)
        found[name] = {"finite": all(bool(np.isfinite(w).all()) for w in weights)}
        found[name]["together"] = history
        if name != RANDOM:
            expected, found[name]["alone"] = train(one)
            pairs = zip(weights, expected, strict=True)
            found[name]["furthest"] = float(max(np.abs(a - b).max() for a, b in pairs))
    found["resumed"] = {"equal": resumed(two, folder.parent / "two.checkpoint")}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
