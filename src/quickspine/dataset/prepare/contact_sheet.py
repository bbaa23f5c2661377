"""A contact sheet: rows of images, each row labelled with its category, as one PNG."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from math import isqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

_ZOOM = 2  # screen pixels a pixel of a small drawing
_SMALL = 32  # pixels a side of a small drawing
_GAP = 6  # screen pixels between drawings
_PAPER, _INK = 255, 32


def contact_sheet(
    drawings: Mapping[str, NDArray[np.uint8]], place: Path, columns: int = 12
) -> None:
    """Write the first drawings of each category as one row; grey ones that are dark, inverted.

    So white strokes on black become ink on paper. The same drawings give the same bytes, with the
    same Pillow.

    Args:
        drawings: uint8 [k, h, w], [k, side * side], [k, h, w, 1] or [k, h, w, 3] by category.
        place: the PNG file to write.
        columns: drawings a row at most.

    Raises:
        ValueError: if there is nothing to show, or if bitmaps are not such.
    """
    rows = {name: _tiles(name, bitmaps, columns) for name, bitmaps in drawings.items()}
    if not rows:
        raise ValueError("drawings must have a category at least. Received: none")
    means = [tiles.mean() for tiles in rows.values() if tiles.size and tiles.ndim == 3]
    dark = bool(means) and float(np.mean(means)) < (_PAPER + 1) / 2
    font = ImageFont.load_default(size=18)
    label = max(round(font.getlength(name)) for name in rows) + 2 * _GAP
    zoom = _ZOOM if all(max(tiles.shape[1:3]) <= _SMALL for tiles in rows.values()) else 1
    step = max(max(tiles.shape[1:3]) for tiles in rows.values()) * zoom + _GAP
    across = max(len(tiles) for tiles in rows.values())
    size = (label + across * step + _GAP, len(rows) * step + _GAP)
    colour = any(tiles.ndim == 4 for tiles in rows.values())
    sheet = Image.new("RGB" if colour else "L", size, (_PAPER,) * 3 if colour else _PAPER)
    ink = (_INK,) * 3 if colour else _INK
    pen = ImageDraw.Draw(sheet)
    for row, (name, tiles) in enumerate(rows.items()):
        top = _GAP + row * step
        middle = top + (step - _GAP) // 2
        pen.text(
            (label - _GAP, middle),
            name,
            fill=ink,
            font=font,
            anchor="rm",
        )
        for column, tile in enumerate(tiles):
            high, wide = tile.shape[0] * zoom, tile.shape[1] * zoom
            picture = Image.fromarray(_PAPER - tile if dark and tile.ndim == 2 else tile)
            shown = picture.resize((wide, high), Image.Resampling.BICUBIC)
            sheet.paste(shown, (label + column * step, top))
    place.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(place, format="PNG", optimize=True)


def _tiles(name: str, bitmaps: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    """The first bitmaps, [columns at most, h, w], or [..., 3] of colours."""
    if bitmaps.ndim == 2 and (side := isqrt(bitmaps.shape[1])) ** 2 == bitmaps.shape[1]:
        bitmaps = bitmaps.reshape(-1, side, side)
    grey = bitmaps.ndim == 3 or (bitmaps.ndim == 4 and bitmaps.shape[3] == 1)
    colours = bitmaps.ndim == 4 and bitmaps.shape[3] == 3
    if bitmaps.dtype != np.uint8 or not (grey or colours) or 0 in bitmaps.shape[1:]:
        raise ValueError(
            f"{name}: drawings must be uint8 [k, h, w], [k, h, w, 1] or [k, h, w, 3]. "
            f"Received: {bitmaps.dtype} {list(bitmaps.shape)}"
        )
    return bitmaps[:columns] if colours else bitmaps[:columns].reshape(-1, *bitmaps.shape[1:3])


def thumbnails(contents: Iterable[bytes], side: int) -> NDArray[np.uint8]:
    """Image files squeezed to squares, as training squeezes them: uint8 [n, side, side, 3]."""
    found = []
    for content in contents:
        with Image.open(io.BytesIO(content)) as picture:
            found.append(np.asarray(picture.convert("RGB").resize((side, side))))
    return np.stack(found) if found else np.empty((0, side, side, 3), np.uint8)
