"""Random crops and flips: maps from output to input pixels that keep rows and columns apart.

Each is float64 [n, 3, 3], in homogeneous coordinates. Those of `random_crop` and `random_flip` hold
whole numbers, so that pixels are moved and not mixed.
"""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from quickspine.params import Augment

ASPECT = 4 / 3  # torchvision's default: from 3/4 to 4/3


def random_resized_crop(images: Any, params: Augment, key: Any) -> Any:
    """A part of each drawing, shown at the size of the whole.

    As RandomResizedCrop of torchvision, with three differences. The ratio of the sides is that of
    the drawing times 3/4 to 4/3 (there it is 3/4 to 4/3 itself). It is drawn from those of this
    range at which a part of the area fits in (there ten are tried, and then the whole is taken).
    And the part lies anywhere (there at whole pixels); the centres of its outermost pixels become
    those of the result, so that nothing from outside is mixed in.

    Args:
        images: [n, h, w, c]; only its shape counts.
        params: `resized_crop`, the smallest share of the area.
        key: int64 [2], the randomness.
    """
    shape = tf.shape(images)
    sides = tf.cast(tf.stack([shape[2], shape[1]]), tf.float64)
    own = tf.random.experimental.stateless_fold_in(key, 5)
    uniform = tf.cast(tf.random.stateless_uniform([4, shape[0]], own), tf.float64)
    area = params.resized_crop + (1 - params.resized_crop) * uniform[0]
    widest = tf.minimum(-tf.math.log(area), tf.constant(math.log(ASPECT), tf.float64))
    wider = tf.exp((2 * uniform[1] - 1) * widest)
    shares = tf.stack([tf.sqrt(area * wider), tf.sqrt(area / wider)], axis=1)
    last = sides - 1  # the centre of the last pixel; that of the first is 0
    inner = tf.clip_by_value(shares * sides - 1, tf.zeros_like(last), last)
    scales = tf.math.divide_no_nan(inner, last)
    return _scaled(scales, (last - inner) * tf.transpose(uniform[2:]))


def random_crop(images: Any, params: Augment, key: Any) -> Any:
    """Each drawing padded with black, and its size cut out at whole pixels anywhere.

    As RandomCrop of torchvision with `padding`.

    Args:
        images: [n, h, w, c]; only its shape counts.
        params: `crop`, the pixels of padding on each side.
        key: int64 [2], the randomness.
    """
    own = tf.random.experimental.stateless_fold_in(key, 3)
    count = tf.shape(images)[0]
    moves = tf.random.stateless_uniform([count, 2], own, -params.crop, params.crop + 1, tf.int32)
    moves = tf.cast(moves, tf.float64)
    return _scaled(tf.ones_like(moves), moves)


def random_flip(images: Any, params: Augment, key: Any) -> Any:
    """One drawing in two mirrored, left to right.

    Args:
        images: [n, h, w, c]; only its shape counts.
        params: not looked at.
        key: int64 [2], the randomness.
    """
    shape = tf.shape(images)
    own = tf.random.experimental.stateless_fold_in(key, 4)
    flipped = tf.cast(tf.random.stateless_uniform(shape[:1], own) < 0.5, tf.float64)
    right = flipped * tf.cast(shape[2] - 1, tf.float64)
    return _scaled(
        tf.stack([1 - 2 * flipped, tf.ones_like(flipped)], axis=1),
        tf.stack([right, tf.zeros_like(right)], axis=1),
    )


def _scaled(scales: Any, moves: Any) -> Any:
    """x' = scale x + move, and the same for y; [n, 2] each, x first."""
    (right, down), (x, y) = tf.unstack(scales, axis=1), tf.unstack(moves, axis=1)
    zero, one = tf.zeros_like(x), tf.ones_like(x)
    parts = [right, zero, x, zero, down, y, zero, zero, one]
    return tf.reshape(tf.stack(parts, axis=1), (-1, 3, 3))
