"""One drawing as a tf.train.Example: raw pixels, which need no decoding when they are read."""

from __future__ import annotations


def _varint(number: int) -> bytes:
    """A protobuf number: seven bits a byte, the lowest first, a high bit on all but the last."""
    head = b""
    while number > 127:
        head, number = head + bytes([number & 127 | 128]), number >> 7
    return head + bytes([number])


def _field(number: int, content: bytes) -> bytes:
    """A protobuf field of bytes."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def around(label: int, pixels: int) -> tuple[bytes, bytes]:
    """What stands before and behind the pixels in a drawing's Example.

    The Example has two features, `image` (raw uint8 pixels) and `label` (int64): all of a label
    differ in their pixels only. Put together here, its bytes are known without TensorFlow (which
    takes seconds to start), and before the first drawing is read.

    Args:
        label: 0 or more.
        pixels: bytes of a drawing.
    """
    drawing = _field(1, _field(1, bytes(pixels)))  # a Feature's field 1: BytesList
    number = _field(3, _field(1, _varint(label)))  # a Feature's field 3: Int64List, packed
    behind = _field(1, _field(1, b"label") + _field(2, number))
    whole = _field(1, _field(1, _field(1, b"image") + _field(2, drawing)) + behind)
    return whole[: len(whole) - len(behind) - pixels], behind
