"""Random perspective."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from quickspine.params import Augment


def random_perspective(images: Any, params: Augment, key: Any) -> Any:
    """One perspective a drawing: each of its corners moves inward, by itself, at random.

    As RandomPerspective of torchvision does (there `distortion_scale` and `p`, and whole pixels
    only): https://pytorch.org/vision/stable/transforms.html.

    Args:
        images: [n, h, w, c]; only its shape counts.
        params: `perspective`, the share of half a side by which a corner moves at most, and
            `perspective_probability`, for how many of the drawings.
        key: int64 [2], the randomness.

    Returns:
        float64 [n, 3, 3], from output to input pixels, in homogeneous coordinates.
    """
    shape = tf.shape(images)
    height, width = tf.cast(shape[1], tf.float64), tf.cast(shape[2], tf.float64)
    own = tf.random.experimental.stateless_fold_in(key, 1)  # not what decides the affine map
    bound = params.perspective / 2
    inward = tf.cast(tf.random.stateless_uniform([4, shape[0], 2], own, 0.0, bound), tf.float64)
    # From the top left one on, clockwise, in shares of the sides. The sides lie half a pixel
    # outside the centres of the outermost pixels.
    corners = tf.constant([[[0, 0]], [[1, 0]], [[1, 1]], [[0, 1]]], tf.float64)
    moved = (corners + (1 - 2 * corners) * inward) * tf.stack([width, height]) - 0.5
    moved = tf.concat([moved, tf.ones_like(moved[..., :1])], axis=2)
    # The map of the unit square to the corners has the columns u p1 - p0, v p3 - p0 and p0, with u
    # and v such that their sum, where (1, 1) goes, is a multiple of p2. Its inverse, up to a factor
    # that does not matter, has the cross products of two columns each as its rows.
    pairs = tf.gather(moved, [1, 2, 3, 0, 1]), tf.gather(moved, [2, 3, 0, 1, 3])
    p12, p23, p30, p01, p13 = tf.unstack(tf.linalg.cross(*pairs))
    p0, p1, _, _ = tf.unstack(moved)
    all_three = tf.reduce_sum(p1 * p23, axis=1, keepdims=True)
    u = tf.reduce_sum(p0 * p23, axis=1, keepdims=True) / all_three
    v = tf.reduce_sum(p0 * p12, axis=1, keepdims=True) / all_three
    right, down = v * p30, u * p01
    scale = u * v * p13 + right + down
    right, down = width * right - scale / 2, height * down - scale / 2
    maps = tf.stack([right, down, scale], axis=1)
    if params.perspective_probability == 1:
        return maps
    drawn = tf.random.experimental.stateless_fold_in(key, 2)
    tilted = tf.random.stateless_uniform(shape[:1], drawn) < params.perspective_probability
    return tf.where(tilted[:, None, None], maps, tf.eye(3, dtype=tf.float64))
