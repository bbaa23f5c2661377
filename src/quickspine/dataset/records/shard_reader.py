"""Shards, opened and read in pieces of about a mebibyte, each with a checksum of its own.

A shard is read once at opening, where every byte is checked. The checksums taken then tell, at the
speed of the processor's own instruction, that what is read later is still the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from quickspine.dataset.records.layout import Layout
from quickspine.dataset.records.shards import Shard
from quickspine.errors import InputError

PIECE = 1 << 20  # bytes: what is looked at together stays in the processor's cache


@dataclass(frozen=True)
class Pieces:
    """A shard that was found to be what the manifest says.

    Attributes:
        path: of the shard.
        layout: of its records.
        examples: how many.
        each: how many records make a piece; the last one may have fewer.
        places: int64 [pieces + 1], where each piece begins, and the end.
        checksums: of each piece, CRC-32C.
    """

    path: Path
    layout: Layout
    examples: int
    each: int
    places: NDArray[np.int64]
    checksums: list[int]

    def read(self, first: int, count: int) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
        """Examples from number `first` on, a piece at a time: uint8 [n, pixels], int64 [n].

        Raises:
            InputError: if these bytes of the shard are gone, or no longer those it had.
        """
        last = first + count
        try:
            with self.path.open("rb") as file:
                file.seek(int(self.places[first // self.each]))
                for number in range(first // self.each, (last - 1) // self.each + 1):
                    place, end = self.places[number : number + 2].tolist()
                    content = file.read(end - place)
                    if google_crc32c.value(content) != self.checksums[number]:
                        raise ValueError("its bytes have changed since it was opened")
                    images, labels = self.layout.drawings(content)
                    begin = number * self.each
                    own = slice(max(0, first - begin), last - begin)
                    yield images[own], labels[own]
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"{self.path}: {reason}") from None


def open_shard(path: Path, shard: Shard, layout: Layout) -> Pieces:
    """Compare a shard, which may be larger than memory, with its sha256 and its layout.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is not what the manifest says.
    """
    if not path.is_file() or path.stat().st_size != shard.bytes:
        raise ValueError("missing, or of another size")
    each = max(1, PIECE // layout.kinds[-1].size)
    places, checksums, examples = [0], list[int](), 0
    found, content, reason = hashlib.sha256(), b"", ""
    with path.open("rb") as file:
        while True:
            new = file.read(each * layout.kinds[-1].size - len(content))
            found.update(new)
            content += new
            if not content:
                break
            try:
                starts = layout.starts(content, each)
                if len(starts) == 1:
                    raise ValueError("it ends inside a record")
                layout.check(content, starts)
            except ValueError as error:  # perhaps of another shard: the sha256 says more
                reason, content = reason or str(error), b""
                continue
            end = int(starts[-1])
            places.append(places[-1] + end)
            checksums.append(google_crc32c.value(content[:end]))
            examples += len(starts) - 1
            content = content[end:]
    if found.hexdigest() != shard.sha256:
        raise ValueError("its sha256 is another")
    if reason or examples != shard.examples:
        raise ValueError(reason or f"it holds {examples} records")
    return Pieces(path, layout, examples, each, np.array(places), checksums)
