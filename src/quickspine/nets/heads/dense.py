"""The dense head: what a SpinalNet head replaces."""

from __future__ import annotations

from typing import Any

import keras

from quickspine.nets.heads.block import HeadLayer, flat_size, flatten_channels_first


@keras.saving.register_keras_serializable("quickspine")
class DenseHead(HeadLayer):
    """One hidden block and a linear layer: the head of the paper's VGG-5.

    Args:
        classes: number of logits.
        width: units of the hidden layer; None takes twice the features, as VGG-5 does.
        rest: see `HeadLayer`.
    """

    def __init__(self, classes: int, *, width: int | None = None, **rest: Any) -> None:
        super().__init__(classes, **rest)
        if width is not None and width < 1:
            raise ValueError(f"DenseHead needs at least one hidden unit. Received: width={width}")
        self.width = width

    def build(self, shape: tuple[int | None, ...]) -> None:
        features = flat_size(shape)
        width = self.width or 2 * features
        self.add("hidden", width, features, hidden=True)
        self.add("logits", self.classes, width, hidden=False)
        super().build(shape)

    def call(self, features: Any, training: bool | None = None) -> Any:
        hidden = self.run("hidden", flatten_channels_first(features), training)
        return self.run("logits", hidden, training)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "width": self.width}
