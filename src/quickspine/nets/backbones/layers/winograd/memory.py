"""Memory that TensorFlow takes as it is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ALIGNMENT = 64  # bytes; TensorFlow copies an array that begins at anything less


def allocated(size: int) -> NDArray[np.uint8]:
    """Memory with room for `size` aligned bytes, whatever is in it."""
    return np.empty(size + ALIGNMENT, np.uint8)


def aligned(memory: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The aligned bytes of what `allocated` gave, as many as were asked for; they share memory."""
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + len(memory) - ALIGNMENT]
