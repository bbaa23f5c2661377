"""VGG-5 with a spinal head as a user of plain Keras would train it; prints images a second.

    python keras_vgg5.py [batch] [steps]

Random images from memory through tf.data and `fit`, 24 classes, Adam, float32; the first `fit`, of
three steps, compiles and is not counted. Knows nothing of quickspine, which runs it in a process of
its own.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is imported
import keras
import numpy as np
import tensorflow as tf

CLASSES, SIDE, DROPOUT, WARM_UP = 24, 28, 0.5, 3
BLOCKS = {"block1": [64] * 2, "block2": [128] * 2, "block3": [256] * 3, "block4": [256] * 3}
HALF, UNITS, SUB_LAYERS = 128, 128, 4


def hidden(values: Any, linear: keras.layers.Layer) -> Any:
    """A linear layer, normalised and rectified."""
    normalised = keras.layers.BatchNormalization()(linear(values))
    return keras.layers.Activation("relu")(normalised)


def network() -> keras.Model:
    """Ten convolutions in four blocks, then the spine."""
    drawing = keras.Input(shape=(SIDE, SIDE, 1))
    maps = drawing
    for block in BLOCKS.values():
        for filters in block:
            maps = hidden(maps, keras.layers.Conv2D(filters, kernel_size=3, padding="same"))
        maps = keras.layers.MaxPooling2D(pool_size=2)(maps)
    features = keras.layers.Flatten()(maps)
    outputs: list[Any] = []
    for number in range(SUB_LAYERS):
        values = features[:, HALF:] if number % 2 else features[:, :HALF]
        if outputs:
            values = keras.layers.Concatenate()([values, outputs[-1]])
        values = keras.layers.Dropout(DROPOUT)(values)
        outputs.append(hidden(values, keras.layers.Dense(UNITS)))
    spine = keras.layers.Dropout(DROPOUT)(keras.layers.Concatenate()(outputs))
    return keras.Model(drawing, keras.layers.Dense(CLASSES)(spine))


def drawings(batch: int, steps: int) -> Any:
    """Random float32 images with labels, in batches."""
    many = batch * steps
    images = np.random.rand(many, SIDE, SIDE, 1).astype(np.float32)
    labels = np.random.randint(CLASSES, size=many)
    batches = tf.data.Dataset.from_tensor_slices((images, labels)).batch(batch)
    return batches.prefetch(tf.data.AUTOTUNE)


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("batch", nargs="?", type=int, default=128)
    parser.add_argument("steps", nargs="?", type=int, default=12)
    args = parser.parse_args()
    keras.utils.set_random_seed(0)
    model = network()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    data = drawings(args.batch, args.steps)
    model.fit(data.take(WARM_UP), verbose=0)
    start = time.perf_counter()
    model.fit(data, verbose=0)
    rate = args.steps * args.batch / (time.perf_counter() - start)
    print(f"Keras {keras.__version__}, float32, batch {args.batch}: {rate:.1f} images/s")


if __name__ == "__main__":
    main()
