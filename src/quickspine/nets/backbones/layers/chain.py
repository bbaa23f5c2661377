"""What the spinal heads have in common: a chain of sub-layers of one width."""

from __future__ import annotations

from typing import Any

from quickspine.nets.backbones.layers.head_block import HeadLayer


class ChainHead(HeadLayer):
    """A head of `sub_layers` hidden blocks of `width` units, one after the other.

    Args:
        classes: number of logits.
        width: units of one sub-layer; what None means, each kind says.
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
