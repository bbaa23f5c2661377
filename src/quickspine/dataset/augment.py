"""Random rotation, shift and zoom of whole batches, decided by (seed, epoch, batch) alone."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from quickspine.params import Augment
from quickspine.randomness import derive


def augmented(data: Any, params: Augment, *, seed: int, epoch: int) -> Any:
    """Change every drawing of a tf.data.Dataset of (uint8 [n, h, w, c], labels) at random."""
    if not (params.rotation or params.shift or params.zoom):
        return data
    chosen = derive(seed, "augment", epoch)

    def change(number: Any, batch: tuple[Any, Any]) -> tuple[Any, Any]:
        images, labels = batch
        key = tf.stack([tf.constant(chosen, tf.int64), number])
        return transform(images, random_affine(images, params, key)), labels

    return data.enumerate().map(change, num_parallel_calls=2)


def random_affine(images: Any, params: Augment, key: Any) -> Any:
    """One affine map a drawing, about its centre.

    Args:
        images: [n, h, w, c]; only its shape counts.
        params: bounds of rotation (degrees), shift (of the side) and zoom (share).
        key: int64 [2], the randomness.

    Returns:
        float32 [n, 8]: a0 a1 a2 b0 b1 b2 0 0, from output to input pixels.
    """
    shape = tf.shape(images)
    height, width = tf.cast(shape[1], tf.float32), tf.cast(shape[2], tf.float32)
    uniform = tf.random.stateless_uniform([4, shape[0]], key, -1.0, 1.0)
    angle = uniform[0] * (params.rotation * math.pi / 180)
    scale = tf.exp(uniform[1] * math.log1p(params.zoom))
    right, down = uniform[2] * params.shift * width, uniform[3] * params.shift * height
    cos, sin = tf.cos(angle) * scale, tf.sin(angle) * scale
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    offset_x = middle_x + right - cos * middle_x + sin * middle_y
    offset_y = middle_y + down - sin * middle_x - cos * middle_y
    zero = tf.zeros_like(angle)
    return tf.stack([cos, -sin, offset_x, sin, cos, offset_y, zero, zero], axis=1)


def transform(images: Any, affine: Any) -> Any:
    """Resample uint8 [n, h, w, c] bilinearly; what comes from outside is black."""
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=affine,
        output_shape=tf.shape(images)[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
