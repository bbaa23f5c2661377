"""Predict the test split with the trained models, and measure what their networks cost."""

from __future__ import annotations

import time
from math import prod
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from quickspine.dataset.records.reader import RecordSet
from quickspine.errors import InputError
from quickspine.evaluation.flops import multiplications
from quickspine.evaluation.metrics import Costs, Latency, ModelRun
from quickspine.evaluation.trained import Trained
from quickspine.training.model_file import load

BATCHES = (1, 256)  # batch sizes to time
FLOAT = 4  # bytes
WARM_UP = 5  # forward passes before the timed ones
BUDGET_MS = 1000.0  # once timing has taken so long, LEAST passes will do
LEAST = 10


class Network:
    """The network of one stage and head: built and traced once, for the weights of every seed.

    Args:
        trained: the model of the first seed.
        records: the data.
        repeats: forward passes to time.

    Raises:
        InputError: if the model cannot be loaded, or is for other images or categories.
    """

    def __init__(self, trained: Trained, records: RecordSet, repeats: int) -> None:
        try:
            self.model = load(trained.folder / "model.keras")
        except ValueError as error:
            raise _refusal(trained, str(error)) from None
        self.records, self.of = records, (trained.stage, trained.head)
        self._loaded = trained
        self._check_ends()
        signature = [tf.TensorSpec((None, *records.shape), tf.uint8)]
        self.forward = tf.function(
            lambda images: self.model(images, training=False), input_signature=signature
        )
        weights, activations = memory(self.model)
        self.costs = Costs(
            parameters=int(trained.metrics["parameters"]),
            head_parameters=int(trained.metrics["head_parameters"]),
            multiplications=multiplications(self.model),
            head_multiplications=multiplications(self.model.get_layer("head")),
            weights_bytes=weights,
            activations_bytes=activations,
            latency={
                size: latency(self.forward, tf.zeros((size, *records.shape), tf.uint8), repeats)
                for size in BATCHES
            },
        )

    def predict(self, trained: Trained) -> ModelRun:
        """Predict the test split with the weights of one seed.

        Raises:
            InputError: if its file cannot be read or is of another network.
        """
        if trained is not self._loaded:
            try:
                self.model.load_weights(trained.folder / "model.keras")
            except Exception as error:  # Keras and h5py raise nearly anything over a damaged file
                reason = " ".join(str(error).split())[:300]
                raise _refusal(trained, f"damaged, or of another network ({reason})") from None
            self._loaded = trained
        batches = [self.forward(images).numpy() for images, _ in self.records.ordered("test", 256)]
        return ModelRun(
            stage=trained.stage,
            head=trained.head,
            seed=trained.seed,
            logits=np.concatenate(batches).astype(np.float32),
            costs=self.costs,
            validation_accuracy=float(trained.metrics["val_accuracy"]),
            history=trained.history,
            training_seconds=trained.seconds,
        )

    def _check_ends(self) -> None:
        """Check that the network takes these images and returns one logit per category."""
        ends = [
            [(tuple(tensor.shape), tensor.dtype) for tensor in tensors]
            for tensors in (self.model.inputs, self.model.outputs)
        ]
        expected = [
            [((None, *self.records.shape), "uint8")],
            [((None, len(self.records.categories)), "float32")],
        ]
        if ends != expected:
            raise _refusal(
                self._loaded,
                f"maps {ends[0]} to {ends[1]}, the data needs {expected[0]} to {expected[1]}",
            )


def _refusal(trained: Trained, reason: str) -> InputError:
    path = trained.folder / "model.keras"
    return InputError(f"{path}: {reason}; run: dvc repro -f {trained.made_by}")


def memory(model: keras.Model) -> tuple[int, int]:
    """Bytes in float32: of all weights, and of the largest inputs plus outputs of one layer.

    The latter, for one image, is the least memory that inference needs beside the weights. Layers
    inside another one, such as a head's, count as that one.
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


def latency(forward: Any, images: Any, repeats: int) -> Latency:
    """Milliseconds from a batch of images to its logits, after a warm-up.

    Args:
        forward: a tf.function of the network.
        images: the batch.
        repeats: timed passes; fewer, but at least `LEAST`, once they have taken `BUDGET_MS`.
    """
    for _ in range(WARM_UP):
        forward(images).numpy()
    times: list[float] = []
    while len(times) < repeats and not (len(times) >= LEAST and sum(times) > BUDGET_MS):
        start = time.perf_counter()
        forward(images).numpy()
        times.append(1000 * (time.perf_counter() - start))
    median, p95 = np.quantile(times, [0.5, 0.95])
    return Latency(float(median), float(p95))
