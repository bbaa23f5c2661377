"""The file of one category in a raw folder; nothing of it is read before it is asked for."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from quickspine.errors import InputError
from quickspine.parallel import Stop, go_on

PIECE = 1 << 20  # bytes hashed at once

Hash = Callable[[NDArray[np.uint8]], NDArray[np.uint64]]  # of rows of pixels


@dataclass(frozen=True)
class CategoryFile(ABC):
    """What the manifest says of a category; each encoding has a class of its own.

    Attributes:
        category: its name.
        path: of the file.
        rows: images.
        sha256: of the file.
        given: images in each split of the source's own, which follow one another; None: no splits.
    """

    category: str
    path: Path
    rows: int
    sha256: str
    given: tuple[int, ...] | None

    def check(self, stop: Stop) -> None:
        """Compare the file with its digest and its number of images in the manifest.

        Raises:
            InputError: if it is not what was fetched.
            GivenUpError: once `stop` is set.
        """
        if not self.path.is_file() or self._sha256(stop) != self.sha256:
            raise InputError(
                f"{self.path}: not the {self.rows} drawings of {self.category!r} "
                "that were fetched; run: dvc repro -f fetch"
            )
        self.check_rows()

    @abstractmethod
    def check_rows(self) -> None:
        """Compare the number of images; raises InputError."""

    @abstractmethod
    def digests(self, start: int, stop: int, hashed: Hash) -> NDArray[np.uint64]:
        """Digests of images `start` to `stop`, uint64 [n, 2]."""

    def _sha256(self, stop: Stop) -> str:
        hasher, piece = hashlib.sha256(), bytearray(PIECE)
        with self.path.open("rb", buffering=0) as file:
            while size := file.readinto(piece):
                hasher.update(memoryview(piece)[:size])
                go_on(stop)
        return hasher.hexdigest()
