"""The dense head: what a SpinalNet head replaces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from quickspine.nets.backbones.layers.head_block import HeadLayer, flat_size, flatten_channels_first


@keras.saving.register_keras_serializable("quickspine")
class DenseHead(HeadLayer):
    """Hidden blocks, usually one, and a linear layer: the head of the paper's VGG-5.

    Example:
        DenseHead(10, width=512)           # VGG-5
        DenseHead(10, width=[1024, 512])   # the paper's CIFAR CNN: two hidden layers

    Args:
        classes: number of logits.
        width: units of the hidden layer, or of each; None takes twice the features, as VGG-5 does.
        rest: see `HeadLayer`.
    """

    def __init__(
        self, classes: int, *, width: int | Sequence[int] | None = None, **rest: Any
    ) -> None:
        super().__init__(classes, **rest)
        widths = (width,) if isinstance(width, int) else width
        if widths is not None and (not widths or min(widths) < 1):
            raise ValueError(f"DenseHead needs at least one hidden unit. Received: width={width}")
        # A tuple, as Keras wraps lists that are attributes.
        self.width = width if width is None or isinstance(width, int) else tuple(width)

    def build(self, shape: tuple[int | None, ...]) -> None:
        features = flat_size(shape)
        chosen = self.width or 2 * features
        widths = (chosen,) if isinstance(chosen, int) else chosen
        self.blocks = ("hidden", *(f"hidden{number}" for number in range(2, len(widths) + 1)))
        for name, width in zip(self.blocks, widths, strict=True):
            self.add(name, width, features, hidden=True)
            features = width
        self.add("logits", self.classes, features, hidden=False)
        super().build(shape)

    def call(self, features: Any, training: bool | None = None) -> Any:
        values = flatten_channels_first(features)
        for name in self.blocks:
            values = self.run(name, values, training)
        return self.run("logits", values, training)

    def get_config(self) -> dict[str, Any]:
        width = list(self.width) if isinstance(self.width, tuple) else self.width
        return {**super().get_config(), "width": width}
