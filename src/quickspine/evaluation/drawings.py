"""Images as pictures inside a page: drawings as ink on paper, whatever the page's colours."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from PIL import Image

WHITE = np.uint8(255)
MIDDLE = 128.0


def are_light(bitmaps: Iterable[npt.NDArray[np.uint8]]) -> bool:
    """Whether grey images, uint8 [H, W] or [H, W, 1], show light things on a dark ground."""
    means = [float(bitmap.mean()) for bitmap in bitmaps]
    return bool(means) and sum(means) / len(means) < MIDDLE


def png(bitmap: npt.NDArray[np.uint8], *, light: bool = True) -> bytes:
    """An image as a PNG of its own size.

    The same image gives the same bytes, with the same Pillow.

    Args:
        bitmap: uint8 [H, W], [H, W, 1] or [H, W, 3].
        light: what is grey shows light things on a dark ground, and becomes ink on paper.

    Raises:
        ValueError: if it is anything else.
    """
    channels = bitmap.shape[2:]
    if bitmap.dtype != np.uint8 or bitmap.ndim not in (2, 3) or channels not in ((), (1,), (3,)):
        raise ValueError(
            "an image must be uint8 [H, W], [H, W, 1] or [H, W, 3]. "
            f"Received: {bitmap.dtype} {list(bitmap.shape)}"
        )
    buffer = io.BytesIO()
    if channels != (3,):
        bitmap = bitmap.reshape(bitmap.shape[:2])
        bitmap = WHITE - bitmap if light else bitmap
    Image.fromarray(bitmap).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def address(content: bytes) -> str:
    """The bytes of a PNG as a data URI."""
    return "data:image/png;base64," + base64.b64encode(content).decode("ascii")
