"""Our own training as the peers do it: drawings in memory, forward, backward, update."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import keras
import numpy as np
import tensorflow as tf

from quickspine.categories import DOODLES
from quickspine.nets.backbones import classifier
from quickspine.params import Train
from quickspine.training import devices
from quickspine.training.loop import Task, fit
from quickspine.training.schedules import Constant

SHAPE = (28, 28, 1)
CLASSES = len(DOODLES)
# Steps before the measured ones, at least: as many as the peers'. The first compiles the graph
# and, for wide networks in bfloat16, the kernels of `layers.winograd`, for seconds on end;
# those after it find memory for what they keep.
WARM_UP = 3


@dataclass(frozen=True)
class Trained:
    """What a training came to.

    Attributes:
        precision: what `train.precision` came to.
        rates: drawings a second, a number an epoch.
    """

    precision: str
    rates: list[float]


def train(params: Train, head: str, steps: int, epochs: int) -> Trained:
    """Train on one batch of random drawings; the epochs before the measured ones compile.

    It goes through `fit`, as every training does: an epoch's time holds the look at one validation
    drawing and the copy of the best weights too.

    Args:
        params: the section `train`; its width, batch size, precision and determinism count.
        head: one of the params' `heads`.
        steps: of an epoch.
        epochs: how many are measured.
    """
    keras.utils.clear_session()
    device = devices.prepare(params, seed=1)
    batches = _batches(params.batch_size, steps)
    warm_up = -(-WARM_UP // steps)  # epochs
    with device.strategy.scope():
        model = build(params, head, device.tuned)
    ends: list[float] = []
    task = Task(
        name=f"{head}, width {params.width:g}, batch {params.batch_size}",
        model=model,
        training=lambda epoch: batches.repeat(),
        validation=batches.unbatch().take(1).batch(1),
        steps=steps,
        epochs=warm_up + epochs,
        schedule=Constant(params.learning_rate),
        seed=1,
    )
    fit(task, device, lambda entry: ends.append(time.perf_counter()))
    done = steps * params.batch_size
    return Trained(device.precision, [done / seconds for seconds in _lengths(ends[warm_up - 1 :])])


def build(params: Train, head: str, tuned: bool = False) -> keras.Model:
    """The network that is trained."""
    return classifier.build(params, head, classes=CLASSES, seed=1, shape=SHAPE, tuned=tuned)


def _batches(size: int, steps: int) -> tf.data.Dataset:
    random = np.random.default_rng(1)
    images = random.integers(0, 256, (size, *SHAPE), np.uint8)
    return tf.data.Dataset.from_tensors((images, np.arange(size) % CLASSES)).repeat(steps)


def _lengths(ends: list[float]) -> Iterator[float]:
    return (end - start for start, end in pairwise(ends))
