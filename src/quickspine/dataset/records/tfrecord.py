"""The bytes of a TFRecord file: what TensorFlow's writer makes, without its seconds of start-up.

Format: https://www.tensorflow.org/tutorials/load_data/tfrecord. A record is its length, a checksum
of that, its content, a checksum of that; the content is a serialised tf.train.Example with the
features `image` (raw uint8 pixels, or an image file as it came) and `label` (int64).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import google_crc32c
import numpy as np


def records(images: Sequence[bytes], label: int) -> list[bytes]:
    """The records of images of one label, framing included."""
    around = [_around(len(image), label) for image in images]
    contents = [
        before + image + after for (_, before, after), image in zip(around, images, strict=True)
    ]
    joined = zip((length for length, _, _ in around), contents, _masked(contents), strict=True)
    return list(map(b"".join, joined))


def _masked(contents: Sequence[bytes]) -> list[bytes]:
    """CRC-32Cs as TFRecord stores them: turned by 15 bits, plus a constant."""
    checksums = np.fromiter(map(google_crc32c.value, contents), np.uint32, len(contents))
    turned = checksums >> np.uint32(15) | checksums << np.uint32(17)
    masked = (turned + np.uint32(0xA282EAD8)).astype("<u4").view("V4")
    found: list[bytes] = masked.tolist()
    return found


@lru_cache(4096)
def _around(size: int, label: int) -> tuple[bytes, bytes, bytes]:
    """What stands around an image of `size` bytes: length and checksum, and its Example's bytes."""
    # A Feature's field 1 is a BytesList, its field 3 an Int64List (packed); their field 1 is the
    # value. An entry of the map of features has its key as field 1 and the Feature as field 2.
    number = _field(3, _field(1, _varint(label)))
    after = _field(1, _field(1, b"label") + _field(2, number))
    before = b""
    inner = size
    for start in (_tag(1), _tag(1), _field(1, b"image") + _tag(2), _tag(1)):
        before = start + _varint(inner) + before
        inner = size + len(before)
    before = _tag(1) + _varint(inner + len(after)) + before
    length = (len(before) + size + len(after)).to_bytes(8, "little")
    return length + _masked([length])[0], before, after


def _tag(number: int) -> bytes:
    """Begins a protobuf field of bytes."""
    return bytes([number << 3 | 2])


def _field(number: int, content: bytes) -> bytes:
    return _tag(number) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    """A protobuf number: seven bits a byte, the lowest first, a high bit on all but the last."""
    head = b""
    while number > 127:
        head, number = head + bytes([number & 127 | 128]), number >> 7
    return head + bytes([number])
