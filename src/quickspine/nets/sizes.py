"""How large a map each backbone makes of a drawing: known before TensorFlow is imported."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from quickspine.errors import InputError
from quickspine.params import MOST_SUB_LAYERS, Params, Train

# One side of the drawing, in pixels, to that of the map; below 1 the drawing is too small.
SIDES: dict[str, Callable[[int], int]] = {
    "cnn": lambda side: ((side - 4) // 2 - 4) // 2,
    "cifar_cnn": lambda side: side // 8,
    "vgg5": lambda side: side // 16,
    **dict.fromkeys(("vgg11", "vgg13", "vgg16", "vgg19"), lambda side: side // 32),
    **dict.fromkeys(("resnet18", "resnet34"), lambda side: -(-side // 8) // 2),
    "densenet": lambda side: min(1, side // 4),
}
AVERAGED = ("densenet",)  # has no map for its heads


def smallest_side(backbone: str) -> int:
    """Pixels that each side of a drawing must have at least."""
    return next(side for side in count(1) if SIDES[backbone](side) >= 1)


def check(params: Params, shape: tuple[int, int, int]) -> None:
    """Whether `train.backbone` can see these drawings, and its heads what it makes of them.

    Args:
        params: the whole of params.yaml.
        shape: height, width and channels of a drawing.

    Raises:
        InputError: if the drawings are too small, or a spinal head has another number of
            sub-layers than the map has cells.
    """
    train, (height, width, _) = params.train, shape
    least = smallest_side(train.backbone)
    if min(height, width) < least:
        fitting = [name for name in SIDES if smallest_side(name) <= min(height, width)]
        remedy = f"choose {' or '.join(fitting)}" if fitting else "no backbone here takes them"
        raise InputError(
            f"train.backbone: {train.backbone} needs images of at least {least}x{least} pixels. "
            f"Received: the data's, of {height}x{width}; {remedy}"
        )
    if train.backbone in AVERAGED and train.features not in ("map", "average"):
        raise InputError(
            f"train.features: {train.backbone} averages its map itself. Received: "
            f"{train.features}; set train.features: map"
        )
    if train.spinal_input == "cells" and {"spinal", "matched"} & set(params.heads):
        _check_cells(train, height, width)


def _check_cells(train: Train, height: int, width: int) -> None:
    side = SIDES[train.backbone]
    cells = side(height) * side(width) if train.features in ("map", "paper") else 1
    if cells == train.sub_layers:
        return
    several = cells if cells > 1 else "only one"
    remedy = f"train.sub_layers: {cells}, or " if 1 < cells <= MOST_SUB_LAYERS else ""
    raise InputError(
        "train.spinal_input: cells gives each sub-layer a cell of the map of its own. Received: "
        f"train.sub_layers: {train.sub_layers}, and {train.backbone} with train.features: "
        f"{train.features} makes {several} of {height}x{width} pixels; set {remedy}"
        "train.spinal_input: halves"
    )
