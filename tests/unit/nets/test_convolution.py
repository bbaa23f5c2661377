"""The convolution that trains faster: which way it takes, and that each is Keras' convolution."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from quickspine.nets.backbones.layers import convolution
from quickspine.nets.backbones.layers.convolution import TunedConvolution
from quickspine.training.devices import cpu_has_bfloat16

# Without the processor's own bfloat16 products TensorFlow also sums in bfloat16: larger errors.
# `precision: auto` takes float32 there.
needs_bfloat16 = pytest.mark.skipif(
    not cpu_has_bfloat16(), reason="this processor has no bfloat16 instructions"
)


def drawn(*shape: int, seed: int = 0) -> Any:
    values = np.random.default_rng(seed).normal(size=shape)
    return tf.cast(values, tf.bfloat16)


def built(channels: int, filters: int, **options: Any) -> TunedConvolution:
    """With a bias, which starts as zero otherwise."""
    chosen = {"padding": "same", "bias_initializer": keras.initializers.RandomNormal(seed=3)}
    layer = TunedConvolution(
        filters, 3, kernel_initializer=keras.initializers.HeNormal(seed=2), **chosen, **options
    )
    layer.build((None, None, None, channels))
    return layer


def gradients(way: Callable[..., Any], maps: Any, kernel: Any, upstream: Any) -> Any:
    """Outputs and gradients, float32."""
    maps, kernel = tf.convert_to_tensor(maps), tf.convert_to_tensor(kernel)
    with tf.GradientTape() as tape:
        tape.watch([maps, kernel])
        found = way(maps, kernel)
    both = tape.gradient(found, [maps, kernel], tf.cast(upstream, found.dtype))
    return [tf.cast(value, tf.float32) for value in (found, *both)]


def exactly(maps: Any, kernel: Any) -> Any:
    return tf.nn.conv2d(tf.cast(maps, tf.float32), kernel, 1, "SAME")


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Notes the way of every convolution, and takes the usual one."""
    from quickspine.nets.backbones.layers.winograd import (
        convolution as winograd,  # compiles: only where needed
    )

    found: list[str] = []
    real = convolution._direct

    def note(name: str) -> Callable[..., Any]:
        def way(maps: Any, kernel: Any) -> Any:
            found.append(name)
            return real(maps, kernel)

        return way

    monkeypatch.setattr(winograd, "convolve", note("winograd"))
    monkeypatch.setattr(convolution, "_small", note("small"))
    monkeypatch.setattr(convolution, "_direct", note("direct"))
    return found


@pytest.mark.parametrize(
    ("height", "width", "channels", "filters", "way"),
    [
        (28, 28, 64, 64, "winograd"),
        (14, 14, 64, 128, "winograd"),
        (14, 14, 128, 64, "winograd"),
        (7, 7, 128, 256, "winograd"),
        (7, 9, 256, 128, "winograd"),
        (28, 28, 1, 64, "direct"),
        (28, 28, 64, 63, "direct"),
        (13, 28, 64, 64, "direct"),
        (14, 14, 32, 64, "direct"),
        (8, 7, 127, 127, "direct"),
        (7, 7, 64, 128, "small"),
        (3, 3, 256, 256, "small"),
        (6, 7, 256, 256, "small"),
        (1, 1, 1, 1, "small"),
    ],
)
def test_the_shape_decides_the_way(
    taken: list[str], height: int, width: int, channels: int, filters: int, way: str
) -> None:
    layer, maps = built(channels, filters), drawn(1, height, width, channels)
    layer(maps, training=True)
    assert taken == [way]
    layer(maps, training=False)
    layer(maps)
    assert taken == [way]  # inference has one of its own


@needs_bfloat16
@pytest.mark.parametrize("shape", [(1, 1, 1, 4), (4, 3, 3, 16), (3, 7, 5, 9), (2, 2, 7, 1)])
@pytest.mark.parametrize("filters", [1, 12])
def test_the_small_way_has_a_convolution_s_gradients(shape: tuple[int, ...], filters: int) -> None:
    maps, upstream = drawn(*shape), drawn(*shape[:3], filters, seed=1)
    kernel = tf.cast(drawn(3, 3, shape[3], filters, seed=2), tf.float32)
    found = gradients(convolution._small, maps, kernel, upstream)
    for value, wanted in zip(found, gradients(exactly, maps, kernel, upstream), strict=True):
        assert value.shape == wanted.shape
        assert float(tf.norm(value - wanted)) <= 2**-8 * float(tf.norm(wanted))


@pytest.mark.slow
def test_training_in_each_way_is_a_convolution_without_its_bias() -> None:
    for side, channels, filters in ((15, 65, 64), (7, 9, 6), (16, 3, 5)):
        layer, maps = built(channels, filters), drawn(2, side, side, channels)
        found = layer(maps, training=True)
        without = built(channels, filters, use_bias=False)
        assert [tuple(weight.shape) for weight in without.weights] == [(3, 3, channels, filters)]
        assert without(maps, training=True).numpy().tobytes() == found.numpy().tobytes()
        assert found.dtype == tf.bfloat16
        wanted = exactly(maps, tf.convert_to_tensor(layer.kernel))
        assert float(tf.norm(tf.cast(found, tf.float32) - wanted) / tf.norm(wanted)) < 0.02


@pytest.mark.parametrize(("side", "bias"), [(28, True), (7, True), (2, True), (7, False)])
def test_inference_is_keras_own_to_the_bit(side: int, bias: bool) -> None:
    layer = built(64, 64, dtype="mixed_bfloat16", use_bias=bias)
    maps = drawn(2, side, side, 64)
    own = keras.layers.Conv2D(64, 3, padding="same", dtype="mixed_bfloat16", use_bias=bias)
    own.build(maps.shape)
    own.set_weights(layer.get_weights())
    assert all(map(np.any, layer.get_weights()))
    for found in (layer(maps, training=False), layer(maps)):
        assert found.dtype == tf.bfloat16
        assert found.numpy().tobytes() == own(maps).numpy().tobytes()


def test_the_bias_has_a_gradient_of_zero_in_training() -> None:
    layer, maps = built(3, 4), drawn(2, 5, 5, 3)
    assert [weight.dtype for weight in layer.weights] == ["float32", "float32"]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.cast(layer(maps, training=True), tf.float32) ** 2)
    kernel, bias = tape.gradient(loss, [weight.value for weight in layer.trainable_weights])
    assert kernel.dtype == bias.dtype == tf.float32
    assert kernel.numpy().all()
    np.testing.assert_array_equal(bias, np.zeros(4, np.float32))


@pytest.mark.parametrize(
    ("size", "options", "received"),
    [
        (5, {}, r"kernel_size=\(5, 5\)"),
        ((3, 1), {}, r"kernel_size=\(3, 1\)"),
        (3, {"strides": 2}, r"strides=\(2, 2\)"),
        (3, {"padding": "valid"}, "padding=valid"),
        (3, {"dilation_rate": 2}, r"dilation_rate=\(2, 2\)"),
        (3, {"groups": 2}, "groups=2"),
        (3, {"activation": "relu"}, "activation=relu"),
        (3, {"data_format": "channels_first"}, "data_format=channels_first"),
    ],
)
def test_what_it_does_not_do_is_refused(size: Any, options: dict[str, Any], received: str) -> None:
    with pytest.raises(ValueError, match=f"Received: .*{received}"):
        TunedConvolution(4, size, **{"padding": "same", **options})


@pytest.mark.slow
def test_a_network_that_does_without_compiles_nothing() -> None:
    program = """if True:
        import sys, tensorflow as tf
        from quickspine.nets.backbones import classifier
        from quickspine.nets.backbones.layers.convolution import TunedConvolution
        for channels, compiled in ((63, False), (64, True)):
            layer = TunedConvolution(64, 3, padding="same")
            maps = tf.TensorSpec((None, 14, 14, channels))
            tf.function(lambda maps: layer(maps, training=True)).get_concrete_function(maps)
            assert ("numba" in sys.modules) == compiled, channels
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
