"""Random rotation, shift, zoom and perspective of whole batches, by (seed, epoch, batch) alone."""

from __future__ import annotations

import functools
import math
from typing import Any

import tensorflow as tf

from quickspine.params import Augment
from quickspine.randomness import derive


def augmented(
    data: Any, params: Augment, *, seed: int, epoch: int, epochs: int = 1, steps: int | None = None
) -> Any:
    """Change every drawing of a tf.data.Dataset of (uint8 [n, h, w, c], labels) at random.

    Args:
        data: the batches of one epoch, or of several, one behind another.
        params: the bounds.
        seed: with an epoch's number and a batch's number in it, it alone decides.
        epoch: the first one, from 0.
        epochs: how many.
        steps: batches of each epoch; None: as many as come, of one epoch.
    """
    if not (params.rotation or params.shift or params.zoom or params.perspective):
        return data
    seeds = [derive(seed, "augment", number) for number in range(epoch, epoch + epochs)]
    each, changed = tf.int64.max if steps is None else steps, _changed(params)

    def change(number: Any, batch: tuple[Any, Any]) -> tuple[Any, Any]:
        images, labels = batch
        chosen = tf.gather(tf.constant(seeds, tf.int64), number // each)
        return changed(images, tf.stack([chosen, number % each])), labels

    plain = tf.autograph.experimental.do_not_convert(change)
    return data.enumerate().map(plain, num_parallel_calls=2)


@functools.cache
def _changed(params: Augment) -> Any:
    """Made once: to trace it takes as long as some dozen steps, and each epoch asks for it."""
    return tf.function(
        lambda images, key: transform(images, random_maps(images, params, key)), autograph=False
    )


def random_maps(images: Any, params: Augment, key: Any) -> Any:
    """One map a drawing: an affine one of what the perspective, where there is one, makes of it.

    Args:
        images: [n, h, w, c]; only its shape counts.
        params: the bounds.
        key: int64 [2], the randomness.

    Returns:
        float32 [n, 8]: a0 a1 a2 b0 b1 b2 c0 c1, from output to input pixels. Pixel (x, y) shows
        what is at x' = (a0 x + a1 y + a2) / (c0 x + c1 y + 1), and at the same y' with b for a.
    """
    affine = random_affine(images, params, key)
    if not params.perspective:
        return affine
    last = tf.ones_like(affine[:, :1])
    inner = tf.reshape(tf.cast(tf.concat([affine, last], axis=1), tf.float64), (-1, 1, 3, 3))
    outer = random_perspective(images, params, key)[..., None]
    # A sum of products, as matrices would be multiplied in bfloat16 where a training is.
    whole = tf.reshape(tf.reduce_sum(outer * inner, axis=2), (-1, 9))
    return tf.cast(tf.math.divide_no_nan(whole[:, :8], whole[:, 8:]), tf.float32)


def random_perspective(images: Any, params: Augment, key: Any) -> Any:
    """One perspective a drawing: each of its corners moves inward, by itself, at random.

    As RandomPerspective of torchvision does (there `distortion_scale`, whole pixels only, and with
    p = 0.5 for one drawing in two): https://pytorch.org/vision/stable/transforms.html.

    Args:
        images: [n, h, w, c]; only its shape counts.
        params: `perspective`, the share of half a side by which a corner moves at most.
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
    return tf.stack([right, down, scale], axis=1)


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


def transform(images: Any, maps: Any) -> Any:
    """Resample uint8 [n, h, w, c] bilinearly; what comes from outside is black."""
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=maps,
        output_shape=tf.shape(images)[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
