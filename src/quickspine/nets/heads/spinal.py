"""The SpinalNet head: gradual input, one sub-layer after the other, every output counted."""

from __future__ import annotations

from typing import Any

import keras

from quickspine.nets.heads.block import flat_size, flatten_channels_first
from quickspine.nets.heads.chain import ChainHead


def spinal_parameters(
    features: int, classes: int, width: int | None, sub_layers: int, batch_norm: bool
) -> int:
    """Trainable parameters of a SpinalHead on so many features; the rest as its arguments."""
    half = (features + 1) // 2
    width = width or half
    sub_layer = (half + 1) * width + (sub_layers - 1) * (half + width + 1) * width
    return sub_layer + 2 * width * sub_layers * batch_norm + (sub_layers * width + 1) * classes


@keras.saving.register_keras_serializable("quickspine")
class SpinalHead(ChainHead):
    """Sub-layers that take turns at the two halves of the features, each fed by the one before.

    s_1 = block(first half), s_k = block(half_k ‖ s_{k-1}) with the halves in turn, and the logits
    are one linear layer of s_1 ‖ … ‖ s_L (arXiv 2007.03347, section III).

    An odd number of features F gives halves of (F + 1) / 2 that share the middle feature: none is
    dropped, and both halves keep one width. Feature maps are flattened channels first.

    Example:
        logits = SpinalHead(24, width=128, sub_layers=4)(features)  # [-1, 256] -> [-1, 24]

    Args:
        classes: number of logits.
        width: units of one sub-layer; None takes half of the features, as VGG-5 does.
        sub_layers: how many.
        rest: see `HeadLayer`.
    """

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.half = (flat_size(shape) + 1) // 2
        width = self.width or self.half
        for index in range(self.sub_layers):
            fan_in = self.half + (width if index else 0)
            self.add(f"spinal{index + 1}", width, fan_in, hidden=True)
        self.add("logits", self.classes, self.sub_layers * width, hidden=False)
        super().build(shape)

    def call(self, features: Any, training: bool | None = None) -> Any:
        flat = flatten_channels_first(features)
        halves = flat[:, : self.half], flat[:, -self.half :]
        outputs: list[Any] = []
        for index in range(self.sub_layers):
            part = halves[index % 2]
            if outputs:
                part = keras.ops.concatenate([part, outputs[-1]], axis=-1)
            outputs.append(self.run(f"spinal{index + 1}", part, training))
        return self.run("logits", keras.ops.concatenate(outputs, axis=-1), training)
