"""One step of training and one pass forward, as compiled graphs; how good a network is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from quickspine.training.devices import Device

Step = Callable[[Any], Any]


def compiled_step(model: keras.Model, optimizer: Any, device: Device) -> Step:
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


def score(forward: Step, data: Any) -> tuple[float, float]:
    """Mean cross-entropy (nats) and accuracy on a tf.data.Dataset of (batch, labels)."""
    pairs = [(forward(inputs).numpy(), answers.numpy()) for inputs, answers in data]
    logits, labels = (np.concatenate(each) for each in zip(*pairs, strict=True))
    wide = logits.astype(np.float64)
    with np.errstate(invalid="ignore"):  # of infinite logits; the loss is no number then
        wide -= wide.max(axis=1, keepdims=True)
    loss = np.log(np.exp(wide).sum(axis=1)) - wide[np.arange(len(labels)), labels]
    return float(loss.mean()), float((logits.argmax(axis=1) == labels).mean())
