"""The raw folder that fetch made: its manifest and its drawings, in chunks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from quickspine.errors import WrongInputError
from quickspine.files import read_json, sha256

MAX_SIDE = 4096  # pixels
CHUNK = 8192  # drawings read at once: 6.4 MB
FACTS = ("source", "synthetic", "licence", "attribution", "side")  # handed on from stage to stage


class Raw:
    """Categories and drawings of a raw folder.

    Raises:
        WrongInputError: if the manifest or a file is missing, damaged, or not what was fetched.
    """

    def __init__(self, folder: Path, categories: tuple[str, ...]) -> None:
        self.folder = folder
        path = folder / "manifest.json"
        self.manifest: dict[str, Any] = read_json(path, "fetch")
        try:
            self.facts = {name: self.manifest[name] for name in FACTS}
            self.side = side_of(self.manifest)
            entries = {str(entry["category"]): entry for entry in self.manifest["categories"]}
            chosen = [entries[category] for category in categories]
            self._paths = [folder / Path(str(entry["file"])).name for entry in chosen]
            self._digests = [str(entry["sha256"]) for entry in chosen]
            self.rows = [int(entry["rows"]) for entry in chosen]
        except KeyError as error:
            raise WrongInputError(f"{path}: lacks {error}; run: dvc repro -f fetch") from None
        except (TypeError, ValueError, OverflowError) as error:
            raise WrongInputError(f"{path}: damaged ({error}); run: dvc repro -f fetch") from None
        self.categories = categories

    def check(self) -> None:
        """Compare every file with its digest and its number of drawings in the manifest."""
        for label, path in enumerate(self._paths):
            if not path.is_file() or sha256(path) != self._digests[label]:
                raise WrongInputError(
                    f"{path}: not the {self.rows[label]} drawings of {self.categories[label]!r} "
                    "that were fetched; run: dvc repro -f fetch"
                )
            self._drawings(label)

    def _drawings(self, label: int) -> NDArray[np.uint8]:
        return opened(self._paths[label], self.rows[label], self.side**2, "fetch")

    def chunks(self, category: int, limit: int) -> Iterator[NDArray[np.uint8]]:
        """Yield the first `limit` drawings of a category, uint8 [up to CHUNK, pixels] at a time."""
        drawings = self._drawings(category)
        for start in range(0, min(limit, len(drawings)), CHUNK):
            yield np.array(drawings[start : min(start + CHUNK, limit)])


def side_of(manifest: dict[str, Any]) -> int:
    """Pixels a side of the drawings. Raises KeyError or ValueError where that is not there."""
    side = manifest["side"]
    if type(side) is not int or not 1 <= side <= MAX_SIDE:
        raise ValueError(f"side: {side!r}")
    return side


def opened(path: Path, rows: int, pixels: int, made_by: str) -> NDArray[np.uint8]:
    """Map a .npy file of drawings, uint8 [rows, pixels], into memory.

    Raises:
        WrongInputError: if it is anything else; `made_by` is the stage to run again.
    """
    try:
        drawings: NDArray[np.uint8] = npy_format.open_memmap(path, mode="r")
    except (OSError, ValueError) as error:
        raise WrongInputError(f"{path}: {error}; run: dvc repro -f {made_by}") from None
    if drawings.shape != (rows, pixels) or drawings.dtype != np.uint8:
        raise WrongInputError(
            f"{path}: {drawings.dtype} {list(drawings.shape)}, where the manifest says uint8 "
            f"{[rows, pixels]}; run: dvc repro -f {made_by}"
        )
    return drawings
