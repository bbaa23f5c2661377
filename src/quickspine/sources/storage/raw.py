"""The raw folder that fetch made: its manifest and its images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quickspine.errors import InputError
from quickspine.files import read_json
from quickspine.sources.storage.category_file import CategoryFile, Hash
from quickspine.sources.storage.drawings import CHUNK, Drawings
from quickspine.sources.storage.manifest import (
    PICTURES,
    facts_of,
    file_name,
    given_of,
    pixels_of,
    shape_of,
)
from quickspine.sources.storage.pictures import PictureFile


class Raw:
    """Categories and images of a raw folder.

    Args:
        folder: what fetch made.
        categories: those to take, in the order of their labels; empty: all that are there.

    Raises:
        InputError: if the manifest or a file is missing, damaged, or not what was fetched.
    """

    def __init__(self, folder: Path, categories: tuple[str, ...]) -> None:
        self.folder = folder
        path = folder / "manifest.json"
        self.manifest: dict[str, Any] = read_json(path, "fetch")
        try:
            self.facts = facts_of(self.manifest)
            self.shape = shape_of(self.manifest)
            entries = {str(entry["category"]): entry for entry in self.manifest["categories"]}
            self.categories = categories or tuple(entries)
            self.files = [self._file(category, entries[category]) for category in self.categories]
        except KeyError as error:
            raise InputError(f"{path}: lacks {error!s:.80}; run: dvc repro -f fetch") from None
        except (AttributeError, TypeError, ValueError, OverflowError) as error:
            reason = f"{error!s:.200}"
            raise InputError(f"{path}: damaged ({reason}); run: dvc repro -f fetch") from None
        self.rows = [file.rows for file in self.files]

    def _file(self, category: str, entry: dict[str, Any]) -> CategoryFile:
        path, rows = self.folder / file_name(entry["file"]), int(entry["rows"])
        known = category, path, rows, str(entry["sha256"]), given_of(entry)
        if self.facts["encoding"] == PICTURES:
            return PictureFile(*known)
        return RawFile(*known, pixels_of(self.manifest))

    @property
    def encoding(self) -> str:
        """Pixels, or pictures as they came."""
        return str(self.facts["encoding"])

    def check_unchanged(self) -> None:
        """Another `fetch` may have replaced the drawings while they were read."""
        path = self.folder / "manifest.json"
        if read_json(path, "fetch") != self.manifest:
            raise InputError(f"{path}: replaced while it was read; run this again")


@dataclass(frozen=True)
class RawFile(CategoryFile):
    """Images as rows of pixels; `pixels` are the bytes of one."""

    pixels: int

    def check_rows(self) -> None:
        self._drawings()

    def digests(self, start: int, stop: int, hashed: Hash) -> NDArray[np.uint64]:
        return np.concatenate([hashed(chunk) for chunk in self.chunks(start, stop)])

    def chunks(
        self, start: int = 0, stop: int | None = None, size: int | None = None
    ) -> Iterator[NDArray[np.uint8]]:
        """Yield drawings `start` to `stop` (None: all), uint8 [up to CHUNK or `size`, pixels].

        All in the same memory: each is gone once the next one is asked for.
        """
        return self._drawings().chunks(size or CHUNK, stop, start)

    def _drawings(self) -> Drawings:
        return Drawings(self.path, self.rows, self.pixels, "fetch")
