"""A convolution that trains faster on CPUs in bfloat16; with the same weights as Keras' own."""

from __future__ import annotations

from itertools import product
from typing import Any

import keras
import tensorflow as tf

# Channels on either side, and pixels a side, from which on Winograd's way is the faster one; where
# there are fewer its transforms cost more than they save.
WINOGRAD = ((64, 14), (128, 7))
# Up to here oneDNN's gradient of a kernel is slower than nine matrix products: its rows are
# pieces of vectors. On 3×3 maps of 256 channels they take a quarter of its time.
SMALL_SIDE = 7


class TunedConvolution(keras.layers.Conv2D):  # type: ignore[misc]
    """A 3×3 convolution before a batch normalisation, whose training is tuned to its shape.

    In training, maps are bfloat16; kernel and its gradient float32. A bias is left out there: the
    normalisation takes it away again, and its gradient is zero. Weights, their names and their
    order are those of `keras.layers.Conv2D`, which is what model files hold.

    Input: float [batch, height, width, channels], padded to keep the size.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        # Kernels come as float32: Winograd's are transformed before they are rounded.
        super().__init__(*arguments, autocast=False, **options)
        wanted = {
            "kernel_size": (3, 3),
            "strides": (1, 1),
            "padding": "same",
            "dilation_rate": (1, 1),
            "groups": 1,
            "activation": keras.activations.linear,
            "data_format": "channels_last",
        }
        received = {name: getattr(self, name) for name in wanted}
        if received != wanted:
            shown = ", ".join(
                f"{name}={getattr(value, '__name__', value)}" for name, value in received.items()
            )
            raise ValueError(
                "TunedConvolution is 3x3, of stride 1, padding 'same' and one group, with no "
                f"activation, channels last. Received: {shown}"
            )

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        kernel = tf.convert_to_tensor(self.kernel)
        bias = tf.convert_to_tensor(self.bias) if self.use_bias else None
        maps = tf.cast(inputs, tf.bfloat16)
        if training:
            return _normalised_later(maps, kernel, bias)
        found = tf.nn.conv2d(maps, tf.cast(kernel, tf.bfloat16), 1, "SAME")
        return found if bias is None else tf.nn.bias_add(found, tf.cast(bias, tf.bfloat16))


def _normalised_later(maps: Any, kernel: Any, bias: Any) -> Any:
    """The convolution without its bias, whose gradient is zero where there is one."""
    _, height, width, channels = maps.shape
    fewest, side = min(channels, kernel.shape[-1]), min(height, width)
    if any(fewest >= enough and side >= large for enough, large in WINOGRAD):
        # Imported where it is needed: compiling it takes seconds, and narrow networks do without.
        from quickspine.nets.backbones.layers.winograd.convolution import convolve
    elif max(height, width) <= SMALL_SIDE:
        convolve = _small
    else:
        convolve = _direct

    found = convolve(maps, kernel)
    if bias is None:
        return found

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def without(values: Any, bias: Any) -> Any:
        return tf.identity(values), lambda upstream: (upstream, tf.zeros_like(bias))

    return without(found, bias)


def _direct(maps: Any, kernel: Any) -> Any:
    """oneDNN's own way, forward and back."""
    return tf.nn.conv2d(maps, tf.cast(kernel, tf.bfloat16), 1, "SAME")


def _small(maps: Any, kernel: Any) -> Any:
    """oneDNN's own way, but for the gradient of the kernel: a matrix product for each weight."""

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def differentiable(maps: Any, kernel: Any) -> Any:
        low = tf.cast(kernel, tf.bfloat16)

        def gradient(upstream: Any) -> tuple[Any, Any]:
            of_maps = tf.nn.conv2d_transpose(upstream, low, tf.shape(maps), 1, "SAME")
            return of_maps, _kernel_gradient(maps, upstream)

        return tf.nn.conv2d(maps, low, 1, "SAME"), gradient

    return differentiable(maps, kernel)


def _kernel_gradient(maps: Any, upstream: Any) -> Any:
    """What the kernel's gradient is by definition; products with the padding are left out."""
    _, height, width, channels = maps.shape
    filters = upstream.shape[-1]
    found = []
    for down, right in product((-1, 0, 1), repeat=2):
        shifted = maps[:, max(0, down) : height + down, max(0, right) : width + right]
        below = upstream[:, max(0, -down) : height - down, max(0, -right) : width - right]
        left, behind = tf.reshape(shifted, (-1, channels)), tf.reshape(below, (-1, filters))
        found.append(tf.matmul(left, behind, transpose_a=True))
    return tf.cast(tf.reshape(tf.stack(found), (3, 3, channels, filters)), tf.float32)
