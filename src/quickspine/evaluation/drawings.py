"""Bitmaps as pictures inside a page: ink on paper, whatever the page's colours."""

from __future__ import annotations

import base64
import io

import numpy as np
import numpy.typing as npt
from PIL import Image


def png(bitmap: npt.NDArray[np.uint8]) -> bytes:
    """A drawing as a PNG of its own size, dark on white.

    The same drawing gives the same bytes, with the same Pillow.

    Args:
        bitmap: uint8 [H, W] or [H, W, 1], white on black.

    Raises:
        ValueError: if it is anything else.
    """
    if bitmap.dtype != np.uint8 or bitmap.ndim not in (2, 3) or bitmap.shape[2:] not in ((), (1,)):
        raise ValueError(
            "a drawing must be uint8 [H, W] or [H, W, 1]. "
            f"Received: {bitmap.dtype} {list(bitmap.shape)}"
        )
    buffer = io.BytesIO()
    Image.fromarray(255 - bitmap.reshape(bitmap.shape[:2])).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def address(content: bytes) -> str:
    """The bytes of a PNG as a data URI."""
    return "data:image/png;base64," + base64.b64encode(content).decode("ascii")
