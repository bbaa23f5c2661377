"""Shards of pictures: opened and checked once, then read one picture at a time, in any order."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from quickspine.dataset.records.layout import HEAD, LENGTH, TAIL, masked
from quickspine.dataset.records.shards import Shard
from quickspine.errors import InputError
from quickspine.files import sha256


@dataclass(frozen=True)
class PictureShard:
    """A shard that was found to be what the manifest says.

    Attributes:
        path: of the shard.
        places: int64 [examples + 1], where each record begins, and the end.
    """

    path: Path
    places: NDArray[np.int64]

    @property
    def examples(self) -> int:
        """Records in it."""
        return len(self.places) - 1

    def read(self, number: int) -> bytes:
        """The tf.train.Example of a record, serialised.

        Raises:
            InputError: if it is gone, or no longer what it was.
        """
        place, end = self.places[number : number + 2].tolist()
        try:
            with self.path.open("rb", buffering=0) as file:
                whole = os.pread(file.fileno(), end - place, place)
        except OSError as error:
            raise InputError(f"{self.path}: {error.strerror}") from None
        content, tail = whole[HEAD.size : -TAIL], whole[-TAIL:]
        checksum = masked(np.array([google_crc32c.value(content)], np.uint32))
        if len(whole) != end - place or checksum.astype("<u4").tobytes() != tail:
            raise InputError(f"{self.path}: its bytes have changed since it was opened")
        return content


def open_shard(path: Path, shard: Shard) -> PictureShard:
    """Compare a shard with its size, its sha256 and its number of records.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is not what the manifest says.
    """
    if not path.is_file() or path.stat().st_size != shard.bytes:
        raise ValueError("missing, or of another size")
    if sha256(path) != shard.sha256:
        raise ValueError("its sha256 is another")
    places = [0]
    with path.open("rb") as file:
        while places[-1] < shard.bytes and len(places) <= shard.examples:
            length = file.read(LENGTH.size)
            if len(length) < LENGTH.size:
                raise ValueError("it ends inside a record")
            (size,) = LENGTH.unpack(length)
            places.append(places[-1] + HEAD.size + size + TAIL)
            if places[-1] > shard.bytes:
                raise ValueError("it ends inside a record")
            file.seek(places[-1])
    if places[-1] != shard.bytes or len(places) - 1 != shard.examples:
        raise ValueError(f"it holds other than {shard.examples} records")
    return PictureShard(path, np.array(places, np.int64))
