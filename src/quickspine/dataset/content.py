"""What a drawing's content alone decides: its identity and its split."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from quickspine.dataset import SPLITS
from quickspine.params import Split

DIGEST_BYTES = 16  # 128 bits: no two of a billion different drawings share one by chance


def digests(drawings: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """A digest a drawing.

    Args:
        drawings: uint8 [n, pixels], C order.

    Returns:
        uint64 [n, 2]; equal rows for equal drawings. The first word decides the split.
    """
    joined = b"".join(
        hashlib.blake2b(drawing, digest_size=DIGEST_BYTES).digest()
        for drawing in np.ascontiguousarray(drawings)
    )
    return np.frombuffer(joined, "<u8").reshape(-1, 2).astype(np.uint64, copy=False)


def split_of(content: NDArray[np.uint64], split: Split) -> NDArray[np.uint8]:
    """The split of each drawing: an index into `SPLITS`, decided by its content alone.

    So adding drawings moves none from one split to another, and equal drawings share a split.

    Args:
        content: uint64 [n, 2], as `digests` gives them.
        split: the shares.
    """
    edges = np.cumsum([getattr(split, name) for name in SPLITS])[:-1]
    position = content[:, 0] / np.float64(2**64)
    return np.searchsorted(edges, position, side="right").astype(np.uint8)
