"""The SpinalNet head: gradual input, one sub-layer after the other, every output counted."""

from __future__ import annotations

from typing import Any

import keras

from quickspine.nets.backbones.layers.head_block import (
    ChainHead,
    flat_size,
    flatten_channels_first,
    part_size,
)


@keras.saving.register_keras_serializable("quickspine")
class SpinalHead(ChainHead):
    """Sub-layers that take turns at the two halves of the features, each fed by the one before.

    s_1 = block(first half), s_k = block(half_k ‖ s_{k-1}) with the halves in turn, and the logits
    are one linear layer of s_1 ‖ … ‖ s_L (arXiv 2007.03347, section III).

    An odd number of features F gives halves of (F + 1) / 2 that share the middle feature: none is
    dropped, and both halves keep one width. Feature maps are flattened channels first.

    With `cells`, as in the paper's ResNets, a sub-layer sees all channels of one cell of the map
    instead, row by row, each cell once: s_k = block(cell_k ‖ s_{k-1}).

    Example:
        logits = SpinalHead(24, width=128, sub_layers=4)(features)  # [-1, 256] -> [-1, 24]
        logits = SpinalHead(24, sub_layers=4, cells=True)(maps)  # [-1, 2, 2, 256] -> [-1, 24]

    Args:
        classes: number of logits.
        width: units of one sub-layer; None takes as many as the features it sees: half of all, as
            VGG-5 does, or those of a cell, as the ResNets do.
        sub_layers: how many.
        cells: a cell of the map for each sub-layer, instead of the halves of all in turn.
        rest: see `HeadLayer`.

    Raises:
        ValueError: when it is built, if there are not as many cells as sub-layers.
    """

    def __init__(self, classes: int, *, cells: bool = False, **rest: Any) -> None:
        super().__init__(classes, **rest)
        self.cells = cells

    def build(self, shape: tuple[int | None, ...]) -> None:
        part = part_size(shape, self.cells)
        if self.cells and (len(shape) != 4 or flat_size(shape) != self.sub_layers * part):
            raise ValueError(
                "SpinalHead with cells=True needs a map of as many cells as sub-layers. Received: "
                f"shape={shape}, sub_layers={self.sub_layers}"
            )
        width = self.width or part
        for index in range(self.sub_layers):
            fan_in = part + (width if index else 0)
            self.add(f"spinal{index + 1}", width, fan_in, hidden=True)
        self.add("logits", self.classes, self.sub_layers * width, hidden=False)
        super().build(shape)

    def call(self, features: Any, training: bool | None = None) -> Any:
        parts = self._parts(features)
        outputs: list[Any] = []
        for index in range(self.sub_layers):
            part = parts[index % len(parts)]
            if outputs:
                part = keras.ops.concatenate([part, outputs[-1]], axis=-1)
            outputs.append(self.run(f"spinal{index + 1}", part, training))
        return self.run("logits", keras.ops.concatenate(outputs, axis=-1), training)

    def _parts(self, features: Any) -> list[Any]:
        """What the sub-layers see in turn."""
        if self.cells:
            _, height, width, _ = features.shape
            return [features[:, row, column] for row in range(height) for column in range(width)]
        flat = flatten_channels_first(features)
        half = part_size(flat.shape, False)
        return [flat[:, :half], flat[:, -half:]]

    def get_config(self) -> dict[str, Any]:
        # Named where it is set only: files of other heads stay what they were.
        return {**super().get_config(), **({"cells": True} if self.cells else {})}
