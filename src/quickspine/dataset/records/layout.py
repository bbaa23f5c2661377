"""What each byte of a record must be: checked, and taken apart, for many records at once.

A record of a TFRecord file is its length, a checksum of that, its content and a checksum of that:
https://www.tensorflow.org/tutorials/load_data/tfrecord. Its content is what `example.around` puts
around the pixels, so the records of a data set differ in length only by the bytes of their labels:
one up to 127, two up to 16,383, and so on.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from quickspine.dataset.records.example import around

LENGTH = struct.Struct("<Q")  # begins a record: how long its content is
HEAD = struct.Struct("<QI")  # the length and a checksum of it
TAIL = 4  # bytes that end a record: a checksum of its content


def masked(checksums: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """CRC-32Cs as TFRecord stores them: turned by 15 bits, plus a constant."""
    turned: NDArray[np.uint32] = checksums >> np.uint32(15) | checksums << np.uint32(17)
    return turned + np.uint32(0xA282EAD8)


def label_bytes(label: int) -> int:
    """How many bytes a label takes: seven bits each."""
    return max(1, -(-label.bit_length() // 7))


@dataclass(frozen=True)
class Kind:
    """The records whose labels take `digits` bytes.

    Attributes:
        digits: bytes of a label.
        smallest: the first label of so many bytes.
        before: what stands before the pixels, length and its checksum included.
        behind: what stands between pixels and label.
        size: bytes of a record, from its length to its last checksum.
    """

    digits: int
    smallest: int
    before: bytes
    behind: bytes
    size: int


def kind_of(digits: int, pixels: int) -> Kind:
    """The records of drawings of so many pixels whose labels take so many bytes."""
    smallest = 128 ** (digits - 1) if digits > 1 else 0
    before, behind = around(smallest, pixels)
    length = LENGTH.pack(len(before) + pixels + len(behind))
    checksum = masked(np.array([google_crc32c.value(length)], np.uint32))
    before = length + checksum.astype("<u4").tobytes() + before
    size = len(before) + pixels + len(behind) + TAIL
    return Kind(digits, smallest, before, behind[:-digits], size)  # an Example ends with its label


@dataclass(frozen=True)
class Layout:
    """The records that a data set may have.

    Attributes:
        pixels: bytes of a drawing.
        categories: labels are below that.
    """

    pixels: int
    categories: int

    @cached_property
    def kinds(self) -> list[Kind]:
        """All kinds of records, from the shortest to the longest."""
        most = label_bytes(self.categories - 1)
        return [kind_of(digits, self.pixels) for digits in range(1, most + 1)]

    def starts(self, content: bytes, most: int) -> NDArray[np.int64]:
        """Where the first records of `content` begin, and behind them where the last one ends.

        Args:
            content: records one behind the other; the last may be cut off.
            most: how many are looked for.

        Raises:
            ValueError: if a record is of no kind, as far as the first byte of its length tells.
        """
        for kind in self.kinds:  # most often all are of one kind, which a look at each tells
            count = min(len(content) // kind.size, most)
            left = len(content) - count * kind.size
            if count and (count == most or left < self.kinds[0].size):
                firsts = np.frombuffer(content, np.uint8, (count - 1) * kind.size + 1)
                if (firsts[:: kind.size] == kind.before[0]).all():
                    return np.arange(count + 1) * kind.size
        sizes = {kind.before[0]: kind.size for kind in self.kinds}
        found, position, end = [0], 0, len(content)
        while len(found) <= most and position < end:
            position += sizes.get(content[position], 0)
            if position == found[-1]:
                raise ValueError(f"a record is no drawing of {self.pixels} pixels")
            if position <= end:
                found.append(position)
        return np.array(found, np.int64)

    def drawings(self, content: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Pixels (uint8 [n, pixels], not always contiguous) and labels (int64 [n]) of records.

        Args:
            content: whole records that were checked.
        """
        starts = self.starts(content, len(content))
        view, sizes = np.frombuffer(content, np.uint8), np.diff(starts)
        pixels, labels = starts[:-1].copy(), np.empty(len(sizes), np.int64)
        for kind in self.kinds:
            if (sizes == kind.size).all():
                rows = view.reshape(-1, kind.size)
                begin = len(kind.before)
                return rows[:, begin : begin + self.pixels], _labels(rows, kind)
            own = sizes == kind.size
            pixels[own] += len(kind.before)
            ends = starts[1:][own, None] + np.arange(-TAIL - kind.digits, 0)
            labels[own] = _labels(view[ends], kind)
        windows = np.lib.stride_tricks.sliding_window_view(view, self.pixels)
        return windows[pixels], labels

    def check(self, content: bytes, starts: NDArray[np.int64]) -> None:
        """Compare every byte but pixels and labels with what the writer writes; and checksums.

        Raises:
            ValueError: if a record is no drawing with a label of the categories, or its checksum
                is that of another.
        """
        view, sizes = np.frombuffer(content, np.uint8), np.diff(starts)
        for kind in self.kinds:
            own = starts[:-1][sizes == kind.size]
            if not len(own):
                continue
            if len(own) == len(sizes):
                rows = view[: starts[-1]].reshape(-1, kind.size)
            else:
                rows = np.lib.stride_tricks.sliding_window_view(view, kind.size)[own]
            end = len(kind.before) + self.pixels
            if (rows[:, : len(kind.before)] != np.frombuffer(kind.before, np.uint8)).any():
                raise ValueError(f"a record is no drawing of {self.pixels} pixels")
            middle = rows[:, end : end + len(kind.behind)]
            if (middle != np.frombuffer(kind.behind, np.uint8)).any():
                raise ValueError("a record is no drawing with a label")
            more = rows[:, -TAIL - kind.digits : -TAIL] >= 128  # a high bit: another byte follows
            labels = _labels(rows, kind)
            if not more[:, :-1].all() or more[:, -1].any() or (labels < kind.smallest).any():
                raise ValueError("a label is not written as labels are")
            if (labels >= self.categories).any():
                raise ValueError(
                    f"it has label {labels.max()}, and there are {self.categories} categories"
                )
        ends = starts[1:, None] + np.arange(-TAIL, 0)
        stored = view[ends].view("<u4")[:, 0]
        value, head = google_crc32c.value, HEAD.size
        computed = [value(content[a + head : b - TAIL]) for a, b in pairwise(starts.tolist())]
        if (masked(np.array(computed, np.uint32)) != stored).any():
            raise ValueError("a record's checksum is that of another")


def _labels(rows: NDArray[np.uint8], kind: Kind) -> NDArray[np.int64]:
    """Seven bits a byte, the lowest first."""
    written = rows[:, -TAIL - kind.digits : -TAIL].astype(np.int64) & 127
    labels: NDArray[np.int64] = (written << (7 * np.arange(kind.digits))).sum(axis=1)
    return labels
