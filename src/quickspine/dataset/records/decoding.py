"""Shards of pictures as a tf.data.Dataset: decoded and resized as they are read.

TensorFlow is imported by the first dataset only: it takes seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quickspine.dataset.records.picture_shards import PictureShard
from quickspine.parallel import cores

Order = NDArray[np.int64]


def in_order(shards: Sequence[PictureShard], shape: tuple[int, int, int]) -> Any:
    """All pictures, one shard behind the other.

    Args:
        shards: of one split.
        shape: height, width and 3: what every picture becomes, whatever its proportions.

    Returns:
        A tf.data.Dataset of (uint8 [*shape], int64 []).
    """
    total = sum(shard.examples for shard in shards)
    return _read(shards, shape, total, lambda position: position)


def passes(
    shards: Sequence[PictureShard], shape: tuple[int, int, int], seeds: Sequence[int], batch: int
) -> Any:
    """Passes over all pictures, one behind another, each a permutation that its seed decides.

    What does not fill the last batch of a pass is left out.

    Args:
        shards: of one split.
        shape: as for `in_order`.
        seeds: one a pass.
        batch: pictures of a batch.

    Returns:
        A tf.data.Dataset as `in_order` gives it.
    """
    total = sum(shard.examples for shard in shards)
    wanted = total // batch * batch

    @lru_cache(2)  # of the pass that goes on, and the one that is read ahead
    def order(number: int) -> Order:
        return np.random.default_rng(seeds[number]).permutation(total)

    def number(position: int) -> int:
        return int(order(position // wanted)[position % wanted])

    return _read(shards, shape, wanted * len(seeds), number)


def _read(
    shards: Sequence[PictureShard], shape: tuple[int, int, int], count: int, number: Any
) -> Any:
    import tensorflow as tf

    starts = np.concatenate([[0], np.cumsum([shard.examples for shard in shards])])
    features = {
        "image": tf.io.FixedLenFeature([], tf.string),
        "label": tf.io.FixedLenFeature([], tf.int64),
    }

    def content(position: int) -> bytes:
        place = number(int(position))
        shard = int(np.searchsorted(starts, place, side="right")) - 1
        return shards[shard].read(place - int(starts[shard]))

    def picture(position: Any) -> tuple[Any, Any]:
        # Stateless, or a deterministic TensorFlow would read nothing ahead.
        example = tf.numpy_function(partial(content), [position], tf.string, stateful=False)
        found = tf.io.parse_single_example(tf.ensure_shape(example, ()), features)
        image = tf.io.decode_image(found["image"], channels=3, expand_animations=False)
        return resized(image, shape), found["label"]

    plain = tf.autograph.experimental.do_not_convert(picture)
    return tf.data.Dataset.range(count).map(plain, num_parallel_calls=cores(), deterministic=True)


def resized(image: Any, shape: tuple[int, int, int]) -> Any:
    """A picture, uint8 [h, w, 3], at another size: uint8 [*shape].

    Bilinear, over as many pixels as go into one: fine patterns do not turn into false ones.
    """
    import tensorflow as tf

    image = tf.ensure_shape(image, (None, None, 3))
    values = tf.image.resize(image, shape[:2], antialias=True)
    return tf.ensure_shape(tf.cast(tf.round(tf.clip_by_value(values, 0, 255)), tf.uint8), shape)
