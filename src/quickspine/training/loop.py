"""The training loop, in a straight line. Both heads, and both kinds of training, go through it."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from quickspine.dataset.records.seeds import derive
from quickspine.signals import held_back
from quickspine.training.checkpoints import Checkpoint, State, generators
from quickspine.training.devices import Device
from quickspine.training.optimizers import Maker, adam
from quickspine.training.progress import Epoch, Progress, Weights
from quickspine.training.schedules import Schedule
from quickspine.training.step import Step, compiled_forward, compiled_step, score


@dataclass(frozen=True)
class Task:
    """What one call of `fit` trains, on what, and how long.

    Attributes:
        name: shown on the progress bar.
        model: maps a batch to logits [n, classes].
        training: epoch (from 0) to a tf.data.Dataset of (batch, labels int64 [n]): `steps` of
            that epoch, then those of all after it, so that the next is read ahead.
        validation: a tf.data.Dataset of the same, in a fixed order.
        steps: batches in an epoch.
        epochs: at most.
        schedule: the learning rate.
        seed: decides dropout.
        early_stopping: epochs without a better validation accuracy before the end; None: never.
        checkpoint: from where it goes on after a kill; None: it starts anew.
        optimizer: makes it, from the first learning rate.
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
    checkpoint: Checkpoint | None = None
    optimizer: Maker = adam


@dataclass(frozen=True)
class Fitted:
    """What a training came to: the weights of its best epoch by validation, and its course."""

    weights: Weights
    best: Epoch
    history: list[Epoch]
    seconds: float  # of the loop, those before a kill included


def fit(task: Task, device: Device, report: Callable[[Epoch], None]) -> Fitted:
    """Train; keep the weights of the epoch with the best validation accuracy.

    Equal accuracies are decided by the lower validation loss. `report` hears of every epoch, after
    a kill also of those before it. Resumed from a checkpoint, it ends as if never interrupted, to
    the bit: all randomness comes from (seed, name, epoch), and what the steps of an epoch have
    changed is in the checkpoint.

    Raises:
        FloatingPointError: if the loss is no longer a number.
        KeyboardInterrupt: on Ctrl-C and, in a stage, SIGTERM; after a checkpoint.
        NoSpaceError: where the disk has no room for checkpoints, or no more.
    """
    model = task.model
    with device.strategy.scope():
        optimizer = task.optimizer(task.schedule.rate(0))
        optimizer.build(model.trainable_variables)
    state = State(model, optimizer, task.schedule)
    progress = None
    if task.checkpoint is not None:
        task.checkpoint.make_sure_of_room(state)
        progress = task.checkpoint.restore(state)
    progress = progress or Progress()
    began = time.monotonic() - progress.seconds
    for entry in progress.history:
        report(entry)
    step = compiled_step(model, optimizer, device)
    forward = compiled_forward(model)

    def keep() -> None:
        # What was interrupted between a step and the note of it is not worth keeping.
        taken = int(keras.ops.convert_to_numpy(optimizer.iterations))
        if task.checkpoint is not None and taken == progress.total:
            progress.seconds = time.monotonic() - began
            task.checkpoint.write(state, progress)

    batches = device.batches(_data(task, progress))
    while progress.epoch < task.epochs and not progress.stopped:
        try:
            rate = _train_epoch(task, batches, state, step, progress, keep)
            validation = score(forward, task.validation)
            with held_back():
                entry = progress.end_epoch(validation, rate, model.get_weights)
                patience = task.early_stopping
                progress.stopped = patience is not None and progress.waited >= patience
                task.schedule.epoch_ended(entry["val_loss"])
                keep()
        except FloatingPointError as error:
            raise FloatingPointError(f"{task.name}: {error}; lower the learning rate") from None
        except KeyboardInterrupt:
            keep()
            raise
        report(entry)
    seconds = time.monotonic() - began
    return Fitted(progress.weights, progress.best, progress.history, seconds)


def _data(task: Task, progress: Progress) -> Any:
    """All that is still to be trained on: to start it anew in each epoch would take its time."""
    data = task.training(progress.epoch)
    return data.skip(progress.steps) if progress.steps else data


def _train_epoch(
    task: Task,
    batches: Iterator[Any],
    state: State,
    step: Step,
    progress: Progress,
    keep: Callable[[], None],
) -> float:
    """The steps of an epoch that are still to be done; returns the last learning rate."""
    first, last = progress.epoch * task.steps, 0.0
    if progress.steps:
        last = task.schedule.rate(first + progress.steps - 1)
    else:
        reseed(task.model, task.seed, progress.epoch)
    label = f"{task.name} {progress.epoch + 1}/{task.epochs}"
    compiled = False  # the first step compiles, for seconds on end: it may be interrupted
    with tqdm(desc=label, total=task.steps, unit="batch", leave=False, disable=None) as bar:
        bar.update(progress.steps)
        for batch in itertools.islice(batches, task.steps - progress.steps):
            with held_back() if compiled else contextlib.nullcontext():
                last = task.schedule.rate(first + progress.steps)
                state.optimizer.learning_rate.assign(last)
                progress.results.append(step(batch))
                compiled = True
                if task.checkpoint is not None and task.checkpoint.due:
                    keep()
            bar.update()
    return last


def reseed(model: keras.Model, seed: int, epoch: int) -> None:
    """Set every random generator of the model from (seed, layer, epoch): no state to carry."""
    for name, generator in generators(model).items():
        chosen = derive(seed, "dropout", name, epoch)
        generator.state.assign(np.array([chosen, 0], generator.state.dtype))
