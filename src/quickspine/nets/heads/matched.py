"""The matched head: a dense head of the spinal head's size, so that size explains nothing."""

from __future__ import annotations

from typing import Any

import keras

from quickspine.nets.backbones.layers.head_block import HiddenHead, flat_size, spinal_parameters


@keras.saving.register_keras_serializable("quickspine")
class MatchedHead(HiddenHead):
    """A dense head whose hidden layer is as wide as the spinal head's parameters allow.

    A spinal head usually has other parameters than the dense head that it replaces, so a
    difference between the two may be one of size. Of all widths, this one comes nearest to the
    spinal head's number of trainable parameters; of two as near, it is the narrower.

    Args:
        classes: number of logits.
        spinal_width: `width` of the spinal head that it is matched to.
        sub_layers: of that head.
        spinal_part: how many features a sub-layer of that head sees; None: half of its own.
        rest: see `HeadLayer`.
    """

    def __init__(
        self,
        classes: int,
        *,
        spinal_width: int | None = None,
        sub_layers: int = 4,
        spinal_part: int | None = None,
        **rest: Any,
    ) -> None:
        super().__init__(classes, **rest)
        self.spinal_width = spinal_width
        self.sub_layers = sub_layers
        self.spinal_part = spinal_part

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.width = self.matched_width(flat_size(shape))
        self.add_blocks(shape, (self.width,))
        super().build(shape)

    def matched_width(self, features: int) -> int:
        """Units of the hidden layer for so many features; at least 1."""
        wanted = spinal_parameters(
            self.spinal_part or (features + 1) // 2,
            self.classes,
            self.spinal_width,
            self.sub_layers,
            self.batch_norm,
        )
        # (features + 1) w + (w + 1) classes, and 2 w of normalisation.
        each = features + 1 + self.classes + 2 * self.batch_norm
        below, rest = divmod(wanted - self.classes, each)
        return max(1, below + (2 * rest > each))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config |= {"spinal_width": self.spinal_width, "sub_layers": self.sub_layers}
        # Named where it is set only: files of other heads stay what they were.
        return {**config, **({"spinal_part": self.spinal_part} if self.spinal_part else {})}
