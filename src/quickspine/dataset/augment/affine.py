"""Random rotation, shift and zoom."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from quickspine.params import Augment


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
