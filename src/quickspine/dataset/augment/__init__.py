"""Random changes to whole batches of drawings, by (seed, epoch, batch) alone.

In this order: perspective; rotation, shift and zoom; resized crop; crop; flip. All of them are one
map, by which a drawing is resampled once: what one moved out of the frame, the next may bring back,
and nothing gets more blurred with each.
"""

from __future__ import annotations

import functools
from typing import Any

import tensorflow as tf

from quickspine.dataset.augment.maps import (
    random_affine,
    random_crop,
    random_flip,
    random_perspective,
    random_resized_crop,
)
from quickspine.dataset.records.seeds import derive
from quickspine.errors import InputError
from quickspine.params import Augment


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

    Raises:
        InputError: if `crop` could leave nothing of a drawing.
    """
    if not (_turns(params) or any(_others(params))):
        return data
    side = min((n for n in data.element_spec[0].shape[1:3] if n is not None), default=None)
    if side is not None and params.crop >= side:
        raise InputError(
            f"train.augment.crop: {params.crop} pixels, where images have {side}; choose fewer"
        )
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
    """One map a drawing, of all that `params` asks for.

    Args:
        images: [n, h, w, c]; only its shape counts.
        params: the bounds.
        key: int64 [2], the randomness.

    Returns:
        float32 [n, 8]: a0 a1 a2 b0 b1 b2 c0 c1, from output to input pixels. Pixel (x, y) shows
        what is at x' = (a0 x + a1 y + a2) / (c0 x + c1 y + 1), and at the same y' with b for a.
    """
    tilted, cut, cropped, flipped = _others(params)
    affine = random_affine(images, params, key)
    if not (tilted or cut or cropped or flipped):
        return affine
    last = tf.ones_like(affine[:, :1])
    whole = tf.reshape(tf.cast(tf.concat([affine, last], axis=1), tf.float64), (-1, 3, 3))
    if tilted:
        whole = _after(random_perspective(images, params, key), whole)
    if cut:
        whole = _after(whole, random_resized_crop(images, params, key))
    if cropped:
        whole = _after(whole, random_crop(images, params, key))
    if flipped:
        whole = _after(whole, random_flip(images, params, key))
    whole = tf.reshape(whole, (-1, 9))
    return tf.cast(tf.math.divide_no_nan(whole[:, :8], whole[:, 8:]), tf.float32)


def _turns(params: Augment) -> bool:
    return bool(params.rotation or params.shift or params.zoom)


def _others(params: Augment) -> tuple[bool, bool, bool, bool]:
    """Whether there is perspective, resized crop, crop and flip."""
    tilted = params.perspective > 0 and params.perspective_probability > 0
    return tilted, params.resized_crop < 1, params.crop > 0, params.flip


def _after(outer: Any, inner: Any) -> Any:
    """The map that leads where `inner` leads, and then `outer`; [n, 3, 3] each."""
    # A sum of products, as matrices would be multiplied in bfloat16 where a training is.
    return tf.reduce_sum(outer[..., None] * inner[:, None], axis=2)


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
