"""What a model costs: numbers counted from the model itself, and how long it takes to answer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from math import prod

import keras
import numpy as np
import tensorflow as tf

from quickspine.evaluation.flops import multiplications
from quickspine.evaluation.metrics import Latency

__all__ = ["BATCHES", "latency", "memory", "multiplications"]

BATCHES = (1, 256)  # drawings at once that models are timed on
FLOAT = 4  # bytes of a number
WARM_UP = 5  # answers before the timed ones
ENOUGH_MS = 2000.0  # once it has taken so long, LEAST times will do
LEAST = 10


def memory(model: keras.Model) -> tuple[int, int]:
    """Bytes in float32: of all weights, and of the most that one layer reads and makes at once.

    The latter, for one drawing, is what must be held beside the weights at the least. Layers that
    stand inside another one, such as a head's, count as that one.
    """
    weights = {id(weight): prod(weight.shape) for weight in model.weights}
    nodes = [node for layer in model._flatten_layers() for node in layer._inbound_nodes[:1]]
    held = [
        sum(
            prod(side or 1 for side in tensor.shape)
            for tensor in (*node.input_tensors, *node.outputs)
        )
        for node in nodes
    ]
    return FLOAT * sum(weights.values()), FLOAT * max(held, default=0)


def latency(
    model: keras.Model, shape: tuple[int, int, int], drawings: int, repeats: int
) -> Latency:
    """Milliseconds from so many drawings at once to their logits, after a warm-up.

    Args:
        model: as it was loaded.
        shape: height, width and channels of a drawing.
        drawings: at once.
        repeats: timed answers; fewer, but at least ten of them, where they take long.
    """
    signature = [tf.TensorSpec((drawings, *shape), tf.uint8)]
    forward = tf.function(lambda images: model(images, training=False), input_signature=signature)
    images = tf.zeros((drawings, *shape), tf.uint8)
    for _ in range(WARM_UP):
        forward(images).numpy()
    times: list[float] = []
    while len(times) < repeats and not (len(times) >= LEAST and sum(times) > ENOUGH_MS):
        start = time.perf_counter()
        forward(images).numpy()
        times.append(1000 * (time.perf_counter() - start))
    return _summed_up(times)


def _summed_up(times: Sequence[float]) -> Latency:
    median, p95 = np.quantile(times, [0.5, 0.95])
    return Latency(float(median), float(p95))
