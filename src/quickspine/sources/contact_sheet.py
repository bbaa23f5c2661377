"""A contact sheet: rows of drawings, each row labelled with its category, as one PNG."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

_ZOOM = 2  # screen pixels a drawing's pixel
_GAP = 6  # screen pixels between drawings
_PAPER, _INK = 255, 32


def contact_sheet(
    drawings: Mapping[str, NDArray[np.uint8]], place: Path, columns: int = 12
) -> None:
    """Write the first drawings of each category as one row, dark ink on white paper.

    The same drawings give the same bytes, with the same Pillow.

    Args:
        drawings: uint8 [k, side, side] or [k, side * side] by category, white on black.
        place: the PNG file to write.
        columns: drawings a row at most.

    Raises:
        ValueError: if there is nothing to show, or if bitmaps are not uint8 and square.
    """
    rows = {name: _tiles(name, bitmaps, columns) for name, bitmaps in drawings.items()}
    if not rows:
        raise ValueError("drawings must have a category at least. Received: none")
    font = ImageFont.load_default(size=18)
    label = max(round(font.getlength(name)) for name in rows) + 2 * _GAP
    step = max(tiles.shape[1] for tiles in rows.values()) * _ZOOM + _GAP
    across = max(len(tiles) for tiles in rows.values())
    size = (label + across * step + _GAP, len(rows) * step + _GAP)
    sheet = Image.new("L", size, _PAPER)
    pen = ImageDraw.Draw(sheet)
    for row, (name, tiles) in enumerate(rows.items()):
        top = _GAP + row * step
        middle = top + (step - _GAP) // 2
        pen.text((label - _GAP, middle), name, fill=_INK, font=font, anchor="rm")
        for column, tile in enumerate(tiles):
            side = len(tile) * _ZOOM
            shown = Image.fromarray(_PAPER - tile).resize((side, side), Image.Resampling.BICUBIC)
            sheet.paste(shown, (label + column * step, top))
    place.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(place, format="PNG", optimize=True)


def _tiles(name: str, bitmaps: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    """The first bitmaps, [columns at most, side, side]."""
    side = round(float(np.sqrt(np.prod(bitmaps.shape[1:]))))
    if bitmaps.dtype != np.uint8 or bitmaps.size != len(bitmaps) * side * side or not side:
        raise ValueError(
            f"{name}: drawings must be uint8 [k, side, side]. "
            f"Received: {bitmaps.dtype} {list(bitmaps.shape)}"
        )
    return bitmaps[:columns].reshape(-1, side, side)
