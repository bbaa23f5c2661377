"""What the dense heads share: hidden layers one after the other, and a linear layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from quickspine.nets.backbones.layers.head_block import HeadLayer, flat_size, flatten_channels_first


class HiddenHead(HeadLayer):
    """A head whose `build` calls `add_blocks` with the widths of its hidden layers."""

    paper_features = "maximum"

    def add_blocks(self, shape: tuple[int | None, ...], widths: Sequence[int]) -> None:
        """Add the hidden blocks and the logits for features of `shape` ([batch, …])."""
        features = flat_size(shape)
        self.blocks = ("hidden", *(f"hidden{number}" for number in range(2, len(widths) + 1)))
        for name, width in zip(self.blocks, widths, strict=True):
            self.add(name, width, features, hidden=True)
            features = width
        self.add("logits", self.classes, features, hidden=False)

    def call(self, features: Any, training: bool | None = None) -> Any:
        values = flatten_channels_first(features)
        for name in self.blocks:
            values = self.run(name, values, training)
        return self.run("logits", values, training)
