"""A contact sheet: rows of images, each row labelled with its category, as one PNG."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
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
        drawings: uint8 [k, h, w, c] by category, one at least; c is 1 or 3, the same for all.
        place: the PNG file to write.
        columns: drawings a row at most.
    """
    rows = {name: tiles[:columns] for name, tiles in drawings.items()}
    colour = next(iter(rows.values())).shape[3] == 3
    means = [tiles.mean() for tiles in rows.values() if tiles.size]
    dark = not colour and bool(means) and float(np.mean(means)) < (_PAPER + 1) / 2
    font = ImageFont.load_default(size=18)
    label = max(round(font.getlength(name)) for name in rows) + 2 * _GAP
    side = max(max(tiles.shape[1:3]) for tiles in rows.values())
    zoom = _ZOOM if side <= _SMALL else 1
    step = side * zoom + _GAP
    across = max(len(tiles) for tiles in rows.values())
    size = (label + across * step + _GAP, len(rows) * step + _GAP)
    sheet = Image.new("RGB" if colour else "L", size, (_PAPER,) * 3 if colour else _PAPER)
    ink = (_INK,) * 3 if colour else _INK
    pen = ImageDraw.Draw(sheet)
    for row, (name, tiles) in enumerate(rows.items()):
        top = _GAP + row * step
        middle = top + (step - _GAP) // 2
        pen.text((label - _GAP, middle), name, fill=ink, font=font, anchor="rm")
        for column, tile in enumerate(tiles):
            pixels = tile if colour else tile[..., 0]
            picture = Image.fromarray(_PAPER - pixels if dark else pixels)
            wide_high = (picture.width * zoom, picture.height * zoom)
            shown = picture.resize(wide_high, Image.Resampling.BICUBIC)
            sheet.paste(shown, (label + column * step, top))
    sheet.save(place, format="PNG", optimize=True)


def thumbnails(contents: Iterable[bytes], side: int) -> NDArray[np.uint8]:
    """Image files squeezed to squares, as training squeezes them: uint8 [n, side, side, 3]."""
    found = []
    for content in contents:
        with Image.open(io.BytesIO(content)) as picture:
            found.append(np.asarray(picture.convert("RGB").resize((side, side))))
    return np.stack(found) if found else np.empty((0, side, side, 3), np.uint8)
