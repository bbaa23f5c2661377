"""What a drawing's content alone decides: its identity and its split."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from quickspine.dataset import SPLITS

if TYPE_CHECKING:  # digests need no params
    from quickspine.params import Split

DIGEST_BYTES = 16  # 128 bits: no two of a billion different drawings share one by chance
FEW = 256  # drawings copied at once


def digests(drawings: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """A digest a drawing.

    Args:
        drawings: uint8 [n, pixels], C order.

    Returns:
        uint64 [n, 2]; equal rows for equal drawings. The first word decides the split.
    """
    rows = np.ascontiguousarray(drawings).view(f"V{drawings.shape[1]}").ravel()
    hasher = partial(hashlib.blake2b, digest_size=DIGEST_BYTES)
    joined = bytearray()
    for start in range(0, len(rows), FEW):
        # As bytes: to look into an array costs hashlib more than to copy it.
        found = map(hasher, rows[start : start + FEW].tolist())
        joined += b"".join([one.digest() for one in found])
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
