"""The bytes of a TFRecord file: what TensorFlow's writer makes, without its seconds of start-up.

Format: https://www.tensorflow.org/tutorials/load_data/tfrecord. A record is its length, a checksum
of that, its content, a checksum of that; the content is a serialised tf.train.Example with the
features `image` (raw uint8 pixels, or an image file as it came) and `label` (int64).
"""

from __future__ import annotations

import struct
from functools import lru_cache

import google_crc32c

LENGTH, CHECKSUM = struct.Struct("<Q"), struct.Struct("<I")


def record(image: bytes, label: int) -> bytes:
    """The record of an image, framing included."""
    length, before, after = _around(len(image), label)
    content = b"".join((before, image, after))
    return b"".join((length, content, _masked(content)))


def _masked(content: bytes) -> bytes:
    """CRC-32C as TFRecord stores it: turned by 15 bits, plus a constant."""
    checksum = google_crc32c.value(content)
    turned = checksum >> 15 | checksum << 17
    return CHECKSUM.pack(turned + 0xA282EAD8 & 0xFFFFFFFF)


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
    length = LENGTH.pack(len(before) + size + len(after))
    return length + _masked(length), before, after


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
