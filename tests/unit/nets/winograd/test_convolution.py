"""Winograd's convolution against TensorFlow's own, in graphs as training has them."""

from __future__ import annotations

import gc
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from quickspine.nets.backbones.layers.winograd import convolution, transforms
from quickspine.nets.backbones.layers.winograd.convolution import convolve
from quickspine.training.devices import cpu_has_bfloat16

# Without the processor's own bfloat16 products TensorFlow also sums in bfloat16: larger errors.
# `precision: auto` takes float32 there.
needs_bfloat16 = pytest.mark.skipif(
    not cpu_has_bfloat16(), reason="this processor has no bfloat16 instructions"
)

# batch, height, width, channels, filters
SHAPES = [(1, 4, 4, 8, 8), (3, 7, 9, 5, 6), (2, 14, 14, 64, 32), (5, 6, 3, 16, 1)]
USUAL = SHAPES[1]


def drawn(*shape: int, seed: int, scale: float = 1.0) -> NDArray[np.float32]:
    values = scale * np.random.default_rng(seed).normal(size=shape)
    return values.astype(np.float32)


def inputs(shape: tuple[int, ...], scale: float = 1.0) -> tuple[Any, Any, Any]:
    """Maps and upstream gradients in bfloat16, and a float32 kernel."""
    batch, height, width, channels, filters = shape
    maps = drawn(batch, height, width, channels, seed=1, scale=scale)
    upstream = drawn(batch, height, width, filters, seed=3, scale=scale)
    kernel = tf.constant(drawn(3, 3, channels, filters, seed=2))
    return tf.cast(maps, tf.bfloat16), kernel, tf.cast(upstream, tf.bfloat16)


def graph(shape: tuple[int, ...]) -> Any:
    """Outputs and both gradients as a graph, whose batch is not known beforehand."""
    _, height, width, channels, filters = shape

    def run(maps: Any, kernel: Any, upstream: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch([maps, kernel])
            found = convolve(maps, kernel)
        return found, *tape.gradient(found, [maps, kernel], upstream)

    signature = [
        tf.TensorSpec((None, height, width, channels), tf.bfloat16),
        tf.TensorSpec((3, 3, channels, filters), tf.float32),
        tf.TensorSpec((None, height, width, filters), tf.bfloat16),
    ]
    return tf.function(run, input_signature=signature)


def exactly(maps: Any, kernel: Any, upstream: Any) -> Any:
    maps = tf.cast(maps, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch([maps, kernel])
        found = tf.nn.conv2d(maps, kernel, 1, "SAME")
    return found, *tape.gradient(found, [maps, kernel], tf.cast(upstream, tf.float32))


def bits(values: Any) -> list[bytes]:
    return [value.numpy().tobytes() for value in values]


@pytest.fixture(scope="module")
def usual() -> Any:
    return graph(USUAL)


@needs_bfloat16
@pytest.mark.parametrize("shape", SHAPES)
def test_outputs_and_gradients_are_a_convolution_s(shape: tuple[int, ...]) -> None:
    given = inputs(shape)
    for found, wanted in zip(graph(shape)(*given), exactly(*given), strict=True):
        assert found.shape == wanted.shape
        error = tf.norm(tf.cast(found, tf.float32) - wanted) / tf.norm(wanted)
        assert float(error) < 0.02


def test_activations_stay_bfloat16_and_the_kernel_s_gradient_float32(usual: Any) -> None:
    static = usual.get_concrete_function().structured_outputs
    shapes = [(None, 7, 9, 6), (None, 7, 9, 5), (3, 3, 5, 6)]
    assert [tuple(value.shape) for value in static] == shapes
    types = [tf.bfloat16, tf.bfloat16, tf.float32]
    assert [value.dtype for value in static] == types
    assert [value.dtype for value in usual(*inputs(USUAL))] == types


def test_an_empty_batch_has_no_gradient(usual: Any) -> None:
    maps, kernel, upstream = inputs(USUAL)
    found, of_maps, of_kernel = usual(maps[:0], kernel, upstream[:0])
    assert (found.shape[0], of_maps.shape[0]) == (0, 0)
    assert not of_kernel.numpy().any()


# Where numbers get too small for their exponent, threads may treat them differently.
@pytest.mark.parametrize("scale", [1.0, 1e-38])
@pytest.mark.parametrize("cores", [1, 2, 3, 7])
def test_cores_share_the_images_and_change_nothing(
    usual: Any, monkeypatch: pytest.MonkeyPatch, cores: int, scale: float
) -> None:
    given = inputs(USUAL, scale)
    monkeypatch.setattr(convolution, "processors", lambda: 1)
    alone = bits(usual(*given))
    assert any(alone[0])
    shares = []

    def watched(kernel: Any, *rest: Any) -> Any:
        shares.append(rest[-2:])
        return kernel(*rest)

    monkeypatch.setattr(convolution, "processors", lambda: cores)
    convolution._threads()
    submit = convolution._threads().submit
    monkeypatch.setattr(
        convolution._threads(), "submit", lambda kernel, *rest: submit(watched, kernel, *rest)
    )
    assert bits(usual(*given)) == alone
    assert len(shares) == 4 * cores


def test_threads_flush_whoever_asks_first() -> None:
    """A pool that an eager call made treats the smallest numbers as one that a graph made."""
    convolution._threads.cache_clear()
    transform = transforms.maps_to_factors
    tiny = np.full((2, 4, 4, 8), 0x0001, np.uint16)  # the smallest number that there is

    def run() -> Any:
        return convolution._on_all_cores(transform, tiny, (36, 2, 8), 2).copy()

    outside = run()
    inside = tf.function(lambda: tf.numpy_function(run, [], tf.uint16))().numpy()
    assert (outside == inside).all()


def test_equal_calls_give_equal_bits(usual: Any) -> None:
    """Deterministic operations are asked for, as trainings do; traced anew, and run again."""
    tf.config.experimental.enable_op_determinism()
    given = inputs(USUAL)
    again = graph(USUAL)
    found = {tuple(bits(each(*given))) for each in (usual, again, usual, again, again)}
    assert len(found) == 1


def test_results_that_are_kept_stay_as_they_are(
    usual: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the memory of those that are not is used again."""
    free: Any = defaultdict(list)
    monkeypatch.setattr(convolution, "_free", free)
    batches = [
        (tf.cast(maps, tf.bfloat16), kernel, tf.cast(upstream, tf.bfloat16))
        for maps, kernel, upstream in (inputs(USUAL, scale) for scale in range(1, 31))
    ]
    kept = [usual(*batch) for batch in batches[:3]]
    views = [[value.numpy() for value in usual(*batch)] for batch in batches[3:6]]
    before = [bits(values) for values in kept], [[v.tobytes() for v in vs] for vs in views]

    def memory() -> set[int]:
        return {each.ctypes.data for pieces in free.values() for each in pieces}

    for batch in batches[6:10]:
        usual(*batch)
    gc.collect()
    settled = memory()
    assert settled
    for batch in batches[10:]:
        usual(*batch)
    gc.collect()
    assert memory() == settled
    after = [bits(values) for values in kept], [[v.tobytes() for v in vs] for vs in views]
    assert after == before
    del kept, views
    gc.collect()
    assert memory() > settled  # what was kept comes back as well
