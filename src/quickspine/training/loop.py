"""The training loop, in a straight line. Both heads, and both kinds of training, go through it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tqdm import tqdm

from quickspine.randomness import derive
from quickspine.training.devices import Device
from quickspine.training.schedules import Schedule

Step = Callable[[Any], Any]
Epoch = dict[str, float]  # epoch, loss, accuracy, val_loss, val_accuracy, learning_rate


@dataclass(frozen=True)
class Task:
    """What one call of `fit` trains, on what, and how long.

    Attributes:
        name: shown on the progress bar.
        model: maps a batch to logits [n, classes].
        training: epoch (from 0) to a tf.data.Dataset of (batch, labels int64 [n]).
        validation: a tf.data.Dataset of the same, in a fixed order.
        steps: batches in an epoch.
        epochs: at most.
        schedule: the learning rate.
        seed: decides dropout.
        early_stopping: epochs without a better validation accuracy before the end; None: never.
    """

    name: str
    model: keras.Model
    training: Callable[[int], Any]
    validation: Any
    steps: int
    epochs: int
    schedule: Schedule
    seed: int
    early_stopping: int | None = None


@dataclass(frozen=True)
class Fitted:
    """What a training came to: the weights of its best epoch by validation, and its course."""

    weights: list[NDArray[Any]]
    best: Epoch
    history: list[Epoch]


def fit(task: Task, device: Device, report: Callable[[Epoch], None]) -> Fitted:
    """Train with Adam; keep the weights of the epoch with the best validation accuracy.

    Equal accuracies are decided by the lower validation loss. `report` hears of every epoch.

    Raises:
        FloatingPointError: if the loss is no longer a number.
    """
    model, strategy = task.model, device.strategy
    with strategy.scope():
        optimizer = keras.optimizers.Adam(task.schedule.rate(0), epsilon=1e-8)  # as PyTorch
        optimizer.build(model.trainable_variables)
    step = _train_step(model, optimizer, device)
    forward = compiled_forward(model)

    history: list[Epoch] = []
    best: Epoch = {}
    weights: list[NDArray[Any]] = []
    waited = 0  # epochs without a better validation accuracy
    for epoch in range(task.epochs):
        reseed(model, task.seed, epoch)
        losses: list[Any] = []
        hits: list[Any] = []
        sizes: list[Any] = []
        batches = strategy.experimental_distribute_dataset(task.training(epoch))
        label = f"{task.name} {epoch + 1}/{task.epochs}"
        with tqdm(total=task.steps, desc=label, unit="batch", leave=False, disable=None) as bar:
            for batch in batches:
                rate = task.schedule.rate(epoch * task.steps + len(losses))
                optimizer.learning_rate.assign(rate)
                loss, hit, size = step(batch)
                # Kept as they are: reading one would wait for the device at every step.
                losses.append(loss)
                hits.append(hit)
                sizes.append(size)
                bar.update()
        val_loss, val_accuracy = score(forward, task.validation)
        entry = {
            "epoch": epoch + 1,
            "loss": float(np.mean(np.array([float(loss) for loss in losses]))),
            "accuracy": sum(int(hit) for hit in hits) / sum(int(size) for size in sizes),
            "val_loss": val_loss,
            "val_accuracy": val_accuracy,
            "learning_rate": rate,
        }
        if not math.isfinite(entry["loss"] + val_loss):
            raise FloatingPointError(
                f"{task.name}: the loss is no number any more in epoch {epoch + 1}; "
                "lower the learning rate"
            )
        history.append(entry)
        report(entry)
        waited = 0 if not best or val_accuracy > best["val_accuracy"] else waited + 1
        if not best or merit(entry) > merit(best):
            best, weights = entry, model.get_weights()
        task.schedule.epoch_ended(val_loss)
        if task.early_stopping is not None and waited >= task.early_stopping:
            break
    return Fitted(weights, best, history)


def merit(entry: Epoch) -> tuple[float, float]:
    """What decides between two epochs: validation accuracy, then validation loss."""
    return entry["val_accuracy"], -entry["val_loss"]


def _train_step(model: keras.Model, optimizer: Any, device: Device) -> Step:
    """One update; returns the mean loss, how many were right, and how many there were."""
    strategy = device.strategy
    several = strategy.num_replicas_in_sync > 1

    def differentiate(inputs: Any, labels: Any, total: Any) -> tuple[Any, Any, Any]:
        with tf.GradientTape() as tape:
            logits = tf.cast(model(inputs, training=True), tf.float32)
            each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            # Over the global batch, so that the sum over replicas is the mean over drawings.
            loss = tf.reduce_sum(each) / tf.cast(total, tf.float32)
        gradients = tape.gradient(loss, model.trainable_variables)
        if several:  # the share of a small batch may be empty; XLA normalises that to no number
            some = tf.cast(tf.size(labels) > 0, tf.float32)
            gradients = [tf.math.multiply_no_nan(gradient, some) for gradient in gradients]
        right = tf.equal(tf.argmax(logits, axis=-1, output_type=labels.dtype), labels)
        return loss, tf.reduce_sum(tf.cast(right, tf.int64)), gradients

    # XLA compiles for one device at a time: the whole step where there is only one, else each
    # replica's part of it, up to the exchange of the gradients.
    if device.compiled and several:
        differentiate = tf.function(differentiate, jit_compile=True, reduce_retracing=True)

    def replica(inputs: Any, labels: Any, total: Any) -> tuple[Any, Any]:
        loss, right, gradients = differentiate(inputs, labels, total)
        optimizer.apply(gradients, model.trainable_variables)
        return loss, right

    def step(batch: Any) -> tuple[Any, Any, Any]:
        inputs, labels = batch
        sizes = strategy.run(lambda values: tf.shape(values)[0], args=(labels,))
        total = strategy.reduce(tf.distribute.ReduceOp.SUM, sizes, axis=None)
        loss, right = strategy.run(replica, args=(inputs, labels, total))
        both = [strategy.reduce(tf.distribute.ReduceOp.SUM, v, axis=None) for v in (loss, right)]
        return both[0], both[1], total

    whole = device.compiled and not several
    compiled: Step = tf.function(step, jit_compile=whole, reduce_retracing=True)
    return compiled


def compiled_forward(model: keras.Model) -> Step:
    """Batches to float32 logits, as a graph."""

    def forward(inputs: Any) -> Any:
        return tf.cast(model(inputs, training=False), tf.float32)

    compiled: Step = tf.function(forward, reduce_retracing=True)
    return compiled


def logits_of(forward: Step, data: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """All logits (float32 [n, classes]) and labels (int64 [n]) of a tf.data.Dataset, in order."""
    logits, labels = [], []
    for inputs, answers in data:
        logits.append(forward(inputs).numpy())
        labels.append(answers.numpy())
    return np.concatenate(logits), np.concatenate(labels)


def score(forward: Step, data: Any) -> tuple[float, float]:
    """Mean cross-entropy (nats) and accuracy of a split."""
    logits, labels = logits_of(forward, data)
    wide = logits.astype(np.float64)
    with np.errstate(invalid="ignore"):  # of infinite logits; the loss is no number then
        wide -= wide.max(axis=1, keepdims=True)
    loss = np.log(np.exp(wide).sum(axis=1)) - wide[np.arange(len(labels)), labels]
    return float(loss.mean()), float((logits.argmax(axis=1) == labels).mean())


def reseed(model: keras.Model, seed: int, epoch: int) -> None:
    """Set every random generator of the model from (seed, layer, epoch): no state to carry."""
    for layer in model._flatten_layers():
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            chosen = derive(seed, "dropout", layer.name, epoch)
            generator.state.assign(np.array([chosen, 0], generator.state.dtype))
