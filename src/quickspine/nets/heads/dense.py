"""The dense head: what a SpinalNet head replaces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from quickspine.nets.backbones.layers.head_block import HiddenHead, flat_size


@keras.saving.register_keras_serializable("quickspine")
class DenseHead(HiddenHead):
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
        width = self.width or 2 * flat_size(shape)
        self.add_blocks(shape, (width,) if isinstance(width, int) else width)
        super().build(shape)

    def get_config(self) -> dict[str, Any]:
        width = list(self.width) if isinstance(self.width, tuple) else self.width
        return {**super().get_config(), "width": width}
