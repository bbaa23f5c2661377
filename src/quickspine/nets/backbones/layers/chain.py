"""What the spinal heads share: a chain of sub-layers of one width, and how large it is."""

from __future__ import annotations

from typing import Any

from quickspine.nets.backbones.layers.head_block import HeadLayer, flat_size


def part_size(shape: tuple[int | None, ...], cells: bool) -> int:
    """Count the features of `shape` ([batch, …]) that a sub-layer sees: a half, or a cell's."""
    return shape[-1] or 0 if cells else (flat_size(shape) + 1) // 2


def spinal_parameters(
    part: int, classes: int, width: int | None, sub_layers: int, batch_norm: bool
) -> int:
    """Count the trainable parameters of a SpinalHead whose sub-layers see `part` features each."""
    width = width or part
    sub_layer = (part + 1) * width + (sub_layers - 1) * (part + width + 1) * width
    return sub_layer + 2 * width * sub_layers * batch_norm + (sub_layers * width + 1) * classes


class ChainHead(HeadLayer):
    """A head of `sub_layers` hidden blocks of `width` units, one after the other.

    Args:
        classes: number of logits.
        width: units of one sub-layer; each subclass has its own default for None.
        sub_layers: how many.
        rest: see `HeadLayer`.
    """

    def __init__(
        self, classes: int, *, width: int | None = None, sub_layers: int = 4, **rest: Any
    ) -> None:
        super().__init__(classes, **rest)
        if sub_layers < 1 or (width is not None and width < 1):
            raise ValueError(
                f"{type(self).__name__} needs at least one sub-layer of at least one unit. "
                f"Received: sub_layers={sub_layers}, width={width}"
            )
        self.width = width
        self.sub_layers = sub_layers

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "width": self.width, "sub_layers": self.sub_layers}
