"""Test images as PNGs inside the report."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
from PIL import Image

Bitmap = npt.NDArray[np.uint8]  # [H, W, 1] or [H, W, 3]
Bitmaps = Mapping[int, Bitmap]  # by position in the test split
MIDDLE = 128.0


def collect(batches: Iterable[Bitmap], positions: Iterable[int]) -> dict[int, Bitmap]:
    """Copy the images at some positions in one pass, which ends at the last of them.

    Args:
        batches: uint8 [n, H, W, C] each, in the order of the labels.
        positions: in that order, from 0.

    Raises:
        ValueError: if there are fewer images than that.
    """
    wanted, start = sorted(set(positions)), 0
    bitmaps: dict[int, Bitmap] = {}
    if not wanted:
        return {}
    for images in batches:
        for position in wanted[len(bitmaps) :]:
            if position >= start + len(images):
                break
            bitmaps[position] = images[position - start].copy()
        if len(bitmaps) == len(wanted):
            return bitmaps
        start += len(images)
    raise ValueError(f"position {wanted[len(bitmaps)]} must be below {start}, the number of images")


def are_light(bitmaps: Iterable[Bitmap]) -> bool:
    """Whether grey images show light strokes on a dark ground."""
    means = [float(bitmap.mean()) for bitmap in bitmaps]
    return bool(means) and sum(means) / len(means) < MIDDLE


def png(bitmap: Bitmap, *, light: bool = True) -> bytes:
    """Encode an image as a PNG of its own size; equal images give equal bytes.

    Args:
        bitmap: uint8 [H, W, 1] or [H, W, 3].
        light: grey images show light strokes on a dark ground, and become ink on paper.
    """
    if bitmap.shape[2] == 1:
        bitmap = bitmap[..., 0]
        bitmap = np.uint8(255) - bitmap if light else bitmap
    buffer = io.BytesIO()
    Image.fromarray(bitmap).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def data_uri(content: bytes, kind: str = "png") -> str:
    """An image file as the `src` of an `img` element."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
