"""A 3×3 convolution as 36 matrix products, and its gradients as 36 each.

The products are TensorFlow's; what leads to them and back is compiled here, and called from its
graphs. A tile's left factors are kept from the way forward for the gradient of the kernel.
"""

from __future__ import annotations

import weakref
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from threading import Barrier
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from quickspine.nets.backbones.layers.winograd import transforms
from quickspine.nets.backbones.layers.winograd.transforms import SIDE, TILE, WEIGHTS
from quickspine.parallel import processors

PRODUCTS = SIDE * SIDE
ALIGNMENT = 64  # bytes; TensorFlow copies an array that begins at anything less
_WEIGHTS = np.kron(WEIGHTS, WEIGHTS).astype(np.float32)  # [36, 9]

Kernel = Callable[[Any, Any, int, int], None]
_free: defaultdict[int, list[NDArray[np.uint8]]] = defaultdict(list)  # by size


def convolve(maps: Any, kernel: Any) -> Any:
    """Correlate padded maps with a kernel, about as exactly as seven bits of mantissa allow.

    Args:
        maps: bfloat16 [batch, height, width, channels]; all but the batch known.
        kernel: float32 [3, 3, channels, filters].

    Returns:
        bfloat16 [batch, height, width, filters].
    """
    _threads()  # not from within a graph that runs already
    _, height, width, channels = maps.shape
    filters = kernel.shape[-1]
    tiles = -(-height // TILE) * -(-width // TILE)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def differentiable(maps: Any, kernel: Any) -> Any:
        batch = tf.shape(maps)[0]
        left = _transformed(transforms.maps_to_factors, maps, batch, tiles, channels)
        right = tf.matmul(_WEIGHTS, tf.reshape(kernel, (9, -1)))
        right = tf.cast(tf.reshape(right, (PRODUCTS, channels, filters)), tf.bfloat16)
        back = (height, width, filters)
        found = _restored(transforms.products_to_maps, left @ right, batch, back)

        def gradient(upstream: Any) -> tuple[Any, Any]:
            products = _transformed(transforms.maps_to_products, upstream, batch, tiles, filters)
            of_right = tf.matmul(left, products, transpose_a=True)
            # One after the other: each keeps all cores busy, and two at a time only get in each
            # other's way.
            with tf.control_dependencies([of_right]):
                factors = tf.matmul(products, right, transpose_b=True)
            of_maps = _restored(
                transforms.factors_to_maps, factors, batch, (height, width, channels)
            )
            of_right = tf.reshape(tf.cast(of_right, tf.float32), (PRODUCTS, -1))
            of_kernel = tf.matmul(_WEIGHTS, of_right, transpose_a=True)
            return of_maps, tf.reshape(of_kernel, kernel.shape)

        return found, gradient

    return differentiable(maps, kernel)


def _transformed(kernel: Kernel, maps: Any, batch: Any, tiles: int, channels: int) -> Any:
    """Maps to factors or products, bfloat16 [36, batch · tiles, channels]."""

    def run(values: NDArray[Any], batch: NDArray[np.int32]) -> NDArray[Any]:
        return _on_all_cores(kernel, values, (PRODUCTS, int(batch) * tiles, channels), int(batch))

    found = tf.numpy_function(run, [maps, batch], tf.uint16, stateful=False)
    found = tf.bitcast(found, tf.bfloat16)
    found.set_shape((PRODUCTS, None, channels))
    return found


def _restored(kernel: Kernel, values: Any, batch: Any, shape: tuple[int, int, int]) -> Any:
    """Products or factors to maps, bfloat16 [batch, *shape]."""

    def run(values: NDArray[Any], batch: NDArray[np.int32]) -> NDArray[Any]:
        return _on_all_cores(kernel, values, (int(batch), *shape), int(batch))

    found = tf.numpy_function(run, [values, batch], tf.uint16, stateful=False)
    found = tf.bitcast(found, tf.bfloat16)
    found.set_shape((None, *shape))
    return found


def _on_all_cores(
    kernel: Kernel, values: NDArray[Any], shape: tuple[int, ...], batch: int
) -> NDArray[Any]:
    """Let each core take a share of the images; the result is the same whatever their number."""
    source, target = values.view(np.uint16), _recycled(shape)
    cores = processors()
    edges = [batch * core // cores for core in range(cores + 1)]
    for share in [_threads().submit(kernel, source, target, *share) for share in pairwise(edges)]:
        share.result()
    return target


def _recycled(shape: tuple[int, ...]) -> NDArray[np.uint16]:
    """Memory that goes back to `_free` with the last reference to it, TensorFlow's among them.

    Fresh memory comes page by page, each cleared by the system: a tenth of a step.
    """
    size = int(np.prod(shape)) * 2
    free = _free[size]
    memory = free.pop() if free else np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    found = memory[start : start + size].view(np.uint16).reshape(shape)
    weakref.finalize(found, free.append, memory).atexit = False
    return found


@cache
def _threads() -> ThreadPoolExecutor:
    """Threads that take the smallest numbers for zero, as TensorFlow's do, whoever asks first.

    A thread has that from the one that starts it: here, one that runs a graph.
    """
    cores = processors()
    pool, met = ThreadPoolExecutor(cores, "winograd"), Barrier(cores)

    def start() -> NDArray[np.int32]:
        for thread in [pool.submit(met.wait) for _ in range(cores)]:
            thread.result()
        return np.zeros((), np.int32)

    with tf.init_scope():
        tf.function(lambda: tf.numpy_function(start, [], tf.int32))()
    return pool
