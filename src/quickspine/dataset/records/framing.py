"""Many drawings as TFRecords at once, to the byte what tf.io.TFRecordWriter makes of each.

Of drawings whose labels take the same number of bytes, records are of one kind: rows of one array.
"""

from __future__ import annotations

from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from quickspine.dataset.records.layout import HEAD, TAIL, Kind, kind_of, label_bytes, masked


def record_bytes(pixels: int, label: int) -> int:
    """Bytes of a drawing's record, framing included."""
    return kind_of(label_bytes(label), pixels).size


def framed(drawings: NDArray[np.uint8], labels: NDArray[Any]) -> bytes | memoryview:
    """The records of drawings, one after the other.

    Args:
        drawings: uint8 [n, pixels].
        labels: unsigned integers [n].
    """
    pixels = drawings.shape[1]
    digits = np.ones(len(labels), np.uint8)  # bytes that a label takes
    rest = labels >> np.uint32(7)
    while rest.any():
        digits += rest > 0
        rest = rest >> np.uint32(7)
    found = np.unique(digits).tolist()
    if len(found) == 1:
        return _rows(drawings, labels, kind_of(found[0], pixels)).view(np.uint8).data
    records = np.empty(len(labels), object)
    for each in found:
        chosen = np.flatnonzero(digits == each)
        rows = _rows(drawings[chosen], labels[chosen], kind_of(each, pixels))
        records[chosen] = rows.view(f"V{rows.itemsize}").tolist()
    return b"".join(records.tolist())


def _rows(drawings: NDArray[np.uint8], labels: NDArray[Any], kind: Kind) -> NDArray[Any]:
    """The records of drawings, all of one kind, a row of one array each."""
    fields = np.dtype(
        [
            ("before", f"V{len(kind.before)}"),
            ("pixels", "u1", (drawings.shape[1],)),
            ("behind", f"V{len(kind.behind)}"),
            ("label", "u1", (kind.digits,)),
            ("checksum", f"V{TAIL}"),
        ]
    )
    rows = np.empty(len(labels), fields)
    rows["before"], rows["pixels"] = np.void(kind.before), drawings
    rows["behind"] = np.void(kind.behind)
    for place in range(kind.digits):
        more = 128 if place < kind.digits - 1 else 0
        rows["label"][:, place] = labels >> np.uint32(7 * place) & np.uint32(127) | np.uint32(more)
    content = kind.size - HEAD.size - TAIL
    parts = np.dtype([("head", f"V{HEAD.size}"), ("example", f"V{content}"), ("checksum", "<u4")])
    records = rows.view(parts)
    checksums = map(google_crc32c.value, records["example"].tolist())
    records["checksum"] = masked(np.fromiter(checksums, np.uint32, len(rows)))
    return rows
