"""Shards as a tf.data.Dataset of blocks of examples, shuffled or not: no step an example.

TensorFlow is imported by the first dataset only: it takes seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quickspine.aligned import aligned, allocated
from quickspine.dataset.records.shard_reader import Pieces

Arrays = tuple[NDArray[np.uint8], NDArray[np.int64]]


def by_pieces(shards: Sequence[Pieces], most: int) -> list[int]:
    """Where blocks of whole pieces begin, `most` pieces of a shard in each; and the end."""
    cuts, first = list[int](), 0
    for shard in shards:
        cuts += range(first, first + shard.examples, most * shard.each)
        first += shard.examples
    return [*cuts, first]


def blocks(shards: Sequence[Pieces], cuts: list[int], shape: tuple[int, int, int]) -> Any:
    """The examples of shards, one shard behind the other, cut into blocks.

    Args:
        shards: all of one layout.
        cuts: of `by_pieces`.
        shape: height, width and channels of a drawing.

    Returns:
        A tf.data.Dataset of (uint8 [n, *shape], int64 [n]). Reading it raises the text of a
        InputError, wrapped by TensorFlow, where a shard is no longer what it was.
    """
    import tensorflow as tf

    def read(number: Any) -> tuple[Any, Any]:
        first, end = (tf.gather(tf.constant(cuts, tf.int64), number + more) for more in (0, 1))
        return _read(partial(_filled, shards), shape, first, tf.range(end - first))

    plain = tf.autograph.experimental.do_not_convert(read)
    return tf.data.Dataset.range(len(cuts) - 1).map(plain, num_parallel_calls=2)


def passes(
    shards: Sequence[Pieces],
    most: int,
    shape: tuple[int, int, int],
    seeds: Sequence[int],
    batch_size: int,
) -> Any:
    """Shuffled passes over all examples, one behind another: the next is begun before one ends.

    In each the shards come in another order, and each block is shuffled in itself.

    Args:
        shards: all of one layout.
        most: examples of a block, whatever shards they lie in.
        shape: height, width and channels of a drawing.
        seeds: one a pass, which decides its order alone.
        batch_size: what does not fill a batch at the end of a pass is left out.

    Returns:
        A tf.data.Dataset as `blocks` returns, of whole batches in each pass.
    """
    import tensorflow as tf

    total = sum(shard.examples for shard in shards)
    wanted = total // batch_size * batch_size
    starts = range(0, wanted, most)  # a block of what is left out only is not read

    def read(position: Any) -> tuple[Any, Any]:
        number = position % len(starts)
        seed = tf.gather(tf.constant(seeds, tf.int64), position // len(starts))
        first = number * most
        order = tf.range(tf.minimum(first + most, total) - first)
        order = tf.random.experimental.stateless_shuffle(order, tf.stack([seed, number]))
        images, labels = _read(partial(_mixed, shards), shape, first, order, seed)
        kept = wanted - first  # of the last block; the others are shorter
        return images[:kept], labels[:kept]

    plain = tf.autograph.experimental.do_not_convert(read)
    return tf.data.Dataset.range(len(seeds) * len(starts)).map(plain, num_parallel_calls=2)


def _read(fill: Callable[..., Arrays], shape: tuple[int, int, int], *given: Any) -> tuple[Any, Any]:
    """What `fill` makes of the shape and `given`, in the graph."""
    import tensorflow as tf

    # Stateless, though it reads files: they are compared with what they were. What has state is
    # not run side by side by a deterministic TensorFlow.
    images, labels = tf.numpy_function(
        partial(fill, shape), given, (tf.uint8, tf.int64), stateful=False
    )
    return tf.ensure_shape(images, (None, *shape)), tf.ensure_shape(labels, (None,))


def batched(data: Any, batch_size: int, *, drop_remainder: bool = False) -> Any:
    """Blocks cut anew into batches, whatever their sizes, with no step an example."""
    # A strategy of one replica takes a `rebatch` at the end for its own, and takes it back.
    return data.rebatch(batch_size, drop_remainder=drop_remainder).take(-1)


def _mixed(
    shards: Sequence[Pieces],
    shape: tuple[int, int, int],
    first: int,
    order: NDArray[np.int64],
    seed: int,
) -> Arrays:
    """As `_filled`, of the shards in the order that `seed` decides."""
    shuffled = np.random.default_rng(int(seed)).permutation(len(shards))
    return _filled([shards[index] for index in shuffled], shape, first, order)


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
