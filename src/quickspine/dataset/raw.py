"""The raw folder that fetch made: its manifest and its drawings, in chunks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quickspine.errors import WrongInputError
from quickspine.files import read_json, sha256

CHUNK = 8192  # drawings read at once: 6.4 MB


class Raw:
    """Categories and drawings of a raw folder.

    Raises:
        WrongInputError: if the manifest or a file is missing, damaged, or not what was fetched.
    """

    def __init__(self, folder: Path, categories: tuple[str, ...]) -> None:
        self.folder = folder
        self.manifest: dict[str, Any] = read_json(folder / "manifest.json", "fetch")
        try:
            entries = {str(entry["category"]): entry for entry in self.manifest["categories"]}
            self._entries = [entries[category] for category in categories]
            self.rows = [int(entry["rows"]) for entry in self._entries]
        except (KeyError, TypeError, ValueError) as error:
            raise WrongInputError(
                f"{folder / 'manifest.json'}: does not list {error}; run: dvc repro fetch"
            ) from None
        self.categories = categories

    def check(self) -> None:
        """Compare every file with its digest in the manifest."""
        for entry in self._entries:
            path = self.folder / Path(str(entry["file"])).name
            if not path.is_file() or sha256(path) != entry["sha256"]:
                raise WrongInputError(
                    f"{path}: not the {entry['rows']} drawings of {entry['category']!r} that were "
                    "fetched; run: dvc repro -f fetch"
                )

    def chunks(self, category: int, limit: int) -> Iterator[NDArray[np.uint8]]:
        """Yield the first `limit` drawings of a category, uint8 [up to CHUNK, pixels] at a time."""
        path = self.folder / Path(str(self._entries[category]["file"])).name
        try:
            drawings = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise WrongInputError(f"{path}: {error}; run: dvc repro -f fetch") from None
        if drawings.ndim != 2 or drawings.dtype != np.uint8:
            raise WrongInputError(
                f"{path}: {drawings.dtype} {drawings.shape} instead of uint8 drawings; "
                "run: dvc repro -f fetch"
            )
        for start in range(0, min(limit, len(drawings)), CHUNK):
            yield np.array(drawings[start : min(start + CHUNK, limit)])
