"""The linear head: the smallest there is, a control for both others."""

from __future__ import annotations

from typing import Any

import keras

from quickspine.nets.backbones.layers.head_block import HeadLayer, flat_size, flatten_channels_first


@keras.saving.register_keras_serializable("quickspine")
class LinearHead(HeadLayer):
    """One linear layer, after dropout where that is set; `batch_norm` has nothing to act on."""

    paper_features = "maximum"

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.add("logits", self.classes, flat_size(shape), hidden=False)
        super().build(shape)

    def call(self, features: Any, training: bool | None = None) -> Any:
        return self.run("logits", flatten_channels_first(features), training)
