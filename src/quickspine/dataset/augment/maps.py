"""Random maps from output to input pixels, one a drawing; `quickspine.dataset.augment` chains them.

Each takes `images` [n, h, w, c], of which only the shape counts, the bounds `params`, and `key`,
int64 [2], the randomness; each folds a number of its own into that. All but the affine map are
float64 [n, 3, 3], in homogeneous coordinates.
"""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from quickspine.params import Augment

ASPECT = 4 / 3  # torchvision's default: from 3/4 to 4/3


def random_affine(images: Any, params: Augment, key: Any) -> Any:
    """One affine map a drawing, about its centre.

    Args:
        params: bounds of rotation (degrees), shift (of the side) and zoom (share).

    Returns:
        float32 [n, 8]: a0 a1 a2 b0 b1 b2 0 0.
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


def random_perspective(images: Any, params: Augment, key: Any) -> Any:
    """One perspective a drawing: each of its corners moves inward, by itself, at random.

    As RandomPerspective of torchvision does (there `distortion_scale` and `p`, and whole pixels
    only): https://pytorch.org/vision/stable/transforms.html.

    Args:
        params: `perspective`, the share of half a side by which a corner moves at most, and
            `perspective_probability`, for how many of the drawings.
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


def random_resized_crop(images: Any, params: Augment, key: Any) -> Any:
    """A part of each drawing, shown at the size of the whole.

    As RandomResizedCrop of torchvision, with three differences. The ratio of the sides is that of
    the drawing times 3/4 to 4/3 (there it is 3/4 to 4/3 itself). It is drawn from those of this
    range at which a part of the area fits in (there ten are tried, and then the whole is taken).
    And the part lies anywhere (there at whole pixels); the centres of its outermost pixels become
    those of the result, so that nothing from outside is mixed in.

    Args:
        params: `resized_crop`, the smallest share of the area.
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

    As RandomCrop of torchvision with `padding`. The map holds whole numbers, as that of
    `random_flip` does, so that pixels are moved and not mixed.

    Args:
        params: `crop`, the pixels of padding on each side.
    """
    own = tf.random.experimental.stateless_fold_in(key, 3)
    count = tf.shape(images)[0]
    moves = tf.random.stateless_uniform([count, 2], own, -params.crop, params.crop + 1, tf.int32)
    moves = tf.cast(moves, tf.float64)
    return _scaled(tf.ones_like(moves), moves)


def random_flip(images: Any, params: Augment, key: Any) -> Any:
    """One drawing in two mirrored, left to right; `params` is not looked at."""
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
