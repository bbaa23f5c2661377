"""Many drawings as TFRecords at once, to the byte what tf.io.TFRecordWriter makes of each.

A record is its length (uint64), a checksum of that, the Example, and a checksum of the Example:
https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details. Of drawings whose
labels take the same number of bytes, records have one length and are rows of one array.
"""

from __future__ import annotations

from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from quickspine.dataset.example import around

HEAD = 12  # bytes before an Example: its length and a checksum of that
FRAMING = HEAD + 4  # and a checksum behind it


def record_bytes(pixels: int, label: int) -> int:
    """Bytes of a drawing's record, framing included."""
    before, behind = around(label, pixels)
    return FRAMING + len(before) + pixels + len(behind)


def framed(drawings: NDArray[np.uint8], labels: NDArray[Any]) -> bytes | memoryview:
    """The records of drawings, one after the other.

    Args:
        drawings: uint8 [n, pixels].
        labels: unsigned integers [n].
    """
    digits = np.ones(len(labels), np.uint8)  # bytes that a label takes: seven bits each
    rest = labels >> np.uint32(7)
    while rest.any():
        digits += rest > 0
        rest = rest >> np.uint32(7)
    kinds = np.unique(digits).tolist()
    if len(kinds) == 1:
        return _rows(drawings, labels, kinds[0]).view(np.uint8).data
    records = np.empty(len(labels), object)
    for kind in kinds:
        chosen = np.flatnonzero(digits == kind)
        rows = _rows(drawings[chosen], labels[chosen], kind)
        records[chosen] = rows.view(f"V{rows.itemsize}").tolist()
    return b"".join(records.tolist())


def _rows(drawings: NDArray[np.uint8], labels: NDArray[Any], digits: int) -> NDArray[Any]:
    """The records of drawings whose labels take so many bytes, a row of one array each."""
    pixels = drawings.shape[1]
    before, behind = around(1 << 7 * (digits - 1) if digits > 1 else 0, pixels)
    fixed = behind[:-digits]  # an Example ends with its label
    length = len(before) + pixels + len(behind)
    head = np.uint64(length).astype("<u8").tobytes()
    head += _masked(np.array([google_crc32c.value(head)])).tobytes()
    kind = np.dtype(
        [
            ("before", f"V{HEAD + len(before)}"),
            ("pixels", "u1", (pixels,)),
            ("fixed", f"V{len(fixed)}"),
            ("label", "u1", (digits,)),
            ("checksum", "<u4"),
        ]
    )
    rows = np.empty(len(labels), kind)
    rows["before"], rows["pixels"], rows["fixed"] = np.void(head + before), drawings, np.void(fixed)
    for place in range(digits):
        more = 128 if place < digits - 1 else 0
        rows["label"][:, place] = labels >> np.uint32(7 * place) & np.uint32(127) | np.uint32(more)
    parts = np.dtype([("head", f"V{HEAD}"), ("example", f"V{length}"), ("checksum", "<u4")])
    examples = rows.view(parts)["example"].tolist()
    rows["checksum"] = _masked(np.fromiter(map(google_crc32c.value, examples), np.int64))
    return rows


def _masked(checksums: NDArray[np.int64]) -> NDArray[np.uint32]:
    """As TFRecord stores checksums: turned by 15 bits, and a constant added."""
    low = checksums.astype(np.uint32)
    turned = low >> np.uint32(15) | low << np.uint32(17)
    return (turned + np.uint32(0xA282EAD8)).astype("<u4")
