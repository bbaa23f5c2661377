"""Shards as a tf.data.Dataset of blocks of examples, shuffled or not: no step an example.

TensorFlow is imported by the first dataset only: it takes seconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quickspine.aligned import aligned, allocated
from quickspine.dataset.pieces import Pieces

Arrays = tuple[NDArray[np.uint8], NDArray[np.int64]]


def by_pieces(shards: Sequence[Pieces], most: int) -> list[int]:
    """Where blocks of whole pieces begin, `most` pieces of a shard in each; and the end."""
    cuts, first = list[int](), 0
    for shard in shards:
        cuts += range(first, first + shard.examples, most * shard.each)
        first += shard.examples
    return [*cuts, first]


def by_number(shards: Sequence[Pieces], most: int) -> list[int]:
    """Where blocks of `most` examples begin, whatever shards they lie in; and the end."""
    total = sum(shard.examples for shard in shards)
    return [*range(0, total, most), total]


def blocks(
    shards: Sequence[Pieces], cuts: list[int], shape: tuple[int, int, int], seed: int | None = None
) -> Any:
    """The examples of shards, one shard behind the other, cut into blocks.

    Args:
        shards: all of one layout.
        cuts: of `by_pieces` or `by_number`.
        shape: height, width and channels of a drawing.
        seed: where given, each block is shuffled in itself, as (seed, its number) decides.

    Returns:
        A tf.data.Dataset of (uint8 [n, *shape], int64 [n]). Reading it raises the text of a
        WrongInputError, wrapped by TensorFlow, where a shard is no longer what it was.
    """
    import tensorflow as tf

    fill = partial(_filled, shards, shape)

    def read(number: Any) -> tuple[Any, Any]:
        first, end = (tf.gather(tf.constant(cuts, tf.int64), number + more) for more in (0, 1))
        order = tf.range(end - first)
        if seed is not None:
            key = tf.stack([tf.constant(seed, tf.int64), number])
            order = tf.random.experimental.stateless_shuffle(order, key)

        # Stateless, though it reads files: they are compared with what they were. What has state
        # is not run side by side by a deterministic TensorFlow.
        images, labels = tf.numpy_function(
            fill, [first, order], (tf.uint8, tf.int64), stateful=False
        )
        return tf.ensure_shape(images, (None, *shape)), tf.ensure_shape(labels, (None,))

    plain = tf.autograph.experimental.do_not_convert(read)
    return tf.data.Dataset.range(len(cuts) - 1).map(plain, num_parallel_calls=2)


def batched(data: Any, batch_size: int, *, drop_remainder: bool = False) -> Any:
    """Blocks cut anew into batches, whatever their sizes, with no step an example."""
    # A strategy of one replica takes a `rebatch` at the end for its own, and takes it back.
    return data.rebatch(batch_size, drop_remainder=drop_remainder).take(-1)


def _filled(
    shards: Sequence[Pieces], shape: tuple[int, int, int], first: int, order: NDArray[np.int64]
) -> Arrays:
    """The examples from number `first` on, in this order: the i-th is number `first + order[i]`."""
    count, pixels = len(order), math.prod(shape)
    images = aligned(allocated(count * pixels)).reshape(count, pixels)
    labels = np.empty(count, np.int64)
    places = np.empty(count, np.int64)
    places[order] = np.arange(count)
    done = 0
    for shard in shards:
        if first < shard.examples and done < count:
            for drawings, numbers in shard.read(first, min(count - done, shard.examples - first)):
                own = places[done : done + len(numbers)]
                images[own], labels[own] = drawings, numbers
                done += len(numbers)
        first = max(0, first - shard.examples)  # of the next shard
    return images.reshape(count, *shape), labels
