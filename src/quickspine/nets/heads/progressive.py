"""The progressive spinal head: every sub-layer sees all features and all that came before."""

from __future__ import annotations

from typing import Any

import keras

from quickspine.nets.backbones.layers.head_block import ChainHead, flat_size, flatten_channels_first


@keras.saving.register_keras_serializable("quickspine")
class ProgressiveHead(ChainHead):
    """ProgressiveSpinalNet (arXiv 2103.11373): a spinal head that keeps everything it has seen.

    s_k = block(x ‖ s_1 ‖ … ‖ s_{k-1}) of all features x, and the logits are one linear layer of
    x ‖ s_1 ‖ … ‖ s_L. Blocks are those of every head here: dropout, where it is set, stands before
    each linear layer, whereas the authors drop out the features once.

    Args:
        classes: number of logits.
        width: units of one sub-layer; None takes a quarter of the features (64 of 256, as there).
        sub_layers: how many.
        rest: see `HeadLayer`.
    """

    def build(self, shape: tuple[int | None, ...]) -> None:
        features = flat_size(shape)
        width = self.width or max(1, features // 4)
        for index in range(self.sub_layers):
            self.add(f"spinal{index + 1}", width, features + index * width, hidden=True)
        self.add("logits", self.classes, features + self.sub_layers * width, hidden=False)
        super().build(shape)

    def call(self, features: Any, training: bool | None = None) -> Any:
        seen = flatten_channels_first(features)
        for index in range(self.sub_layers):
            output = self.run(f"spinal{index + 1}", seen, training)
            seen = keras.ops.concatenate([seen, output], axis=-1)
        return self.run("logits", seen, training)
