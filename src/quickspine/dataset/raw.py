"""The raw folder that fetch made: its manifest and its drawings, in chunks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from quickspine.errors import WrongInputError
from quickspine.files import digest, read_json, sha256

MAX_SIDE = 4096  # pixels
CHUNK = 8192  # drawings read at once: 6.4 MB
MAX_TEXT = 1000  # characters of a licence
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
            self.facts = facts_of(self.manifest)
            self.side = int(self.facts["side"])
            entries = {str(entry["category"]): entry for entry in self.manifest["categories"]}
            chosen = [entries[category] for category in categories]
            self._paths = [folder / _name(entry["file"]) for entry in chosen]
            self._digests = [str(entry["sha256"]) for entry in chosen]
            self.rows = [int(entry["rows"]) for entry in chosen]
        except KeyError as error:
            raise WrongInputError(f"{path}: lacks {error!s:.80}; run: dvc repro -f fetch") from None
        except (TypeError, ValueError, OverflowError) as error:
            reason = f"{error!s:.200}"
            raise WrongInputError(f"{path}: damaged ({reason}); run: dvc repro -f fetch") from None
        self.categories = categories

    def check_unchanged(self) -> None:
        """Another `fetch` may have replaced the drawings while they were read."""
        path = self.folder / "manifest.json"
        if read_json(path, "fetch") != self.manifest:
            raise WrongInputError(f"{path}: replaced while it was read; run this again")

    def check(self) -> None:
        """Compare every file with its digest and its number of drawings in the manifest."""
        for label, path in enumerate(self._paths):
            if not path.is_file() or sha256(path) != self._digests[label]:
                raise WrongInputError(
                    f"{path}: not the {self.rows[label]} drawings of {self.categories[label]!r} "
                    "that were fetched; run: dvc repro -f fetch"
                )
            self._drawings(label)

    def _drawings(self, label: int) -> Drawings:
        return Drawings(self._paths[label], self.rows[label], self.side**2, "fetch")

    def chunks(self, category: int, limit: int) -> Iterator[NDArray[np.uint8]]:
        """Yield the first `limit` drawings of a category, uint8 [up to CHUNK, pixels] at a time."""
        return self._drawings(category).chunks(CHUNK, limit)


class Drawings:
    """A .npy file of drawings, read in chunks.

    Read, not mapped: a category of gigabytes takes no address space, and no pages are counted as
    the process's own.

    Args:
        path: the file, uint8 [rows, pixels] in C order.
        rows: how many drawings the manifest says there are.
        pixels: of a drawing.
        made_by: the stage to run again where the file is anything else.

    Raises:
        WrongInputError: if it is anything else, now or when it is read.
    """

    def __init__(self, path: Path, rows: int, pixels: int, made_by: str) -> None:
        self.path, self.rows, self.pixels, self._made_by = path, rows, pixels, made_by
        try:
            with path.open("rb") as file:
                shape, fortran, dtype = _header(file)
                self._start = file.tell()
            size = path.stat().st_size - self._start
        except (OSError, ValueError) as error:
            raise self._wrong(str(error)) from None
        if shape != (rows, pixels) or dtype != np.uint8 or fortran:
            order = " in Fortran order" if fortran else ""
            raise self._wrong(
                f"{dtype} {list(shape)}{order}, where the manifest says uint8 {[rows, pixels]}"
            )
        if size != rows * pixels:
            raise self._wrong(f"{size} bytes of drawings, where its header says {rows * pixels}")

    def chunks(self, size: int, limit: int | None = None) -> Iterator[NDArray[np.uint8]]:
        """Yield the first `limit` drawings (None: all), uint8 [up to `size`, pixels] at a time."""
        stop = self.rows if limit is None else min(limit, self.rows)
        with self.path.open("rb") as file:
            file.seek(self._start)
            for start in range(0, stop, size):
                chunk = np.empty((min(size, stop - start), self.pixels), np.uint8)
                if file.readinto(chunk.data) != chunk.size:
                    raise self._wrong("it became shorter while it was read")
                yield chunk

    def _wrong(self, problem: str) -> WrongInputError:
        return WrongInputError(f"{self.path}: {problem}; run: dvc repro -f {self._made_by}")


def _header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, Fortran order and dtype of a .npy file of format 1.0 or 2.0; a pickle is no danger."""
    version = npy_format.read_magic(file)
    if version == (1, 0):
        return npy_format.read_array_header_1_0(file)
    if version == (2, 0):
        return npy_format.read_array_header_2_0(file)
    raise ValueError(f"a .npy file of format {version[0]}.{version[1]}; 1.0 and 2.0 are known")


def _name(value: Any) -> str:
    """The name of a file in the folder, whatever way a manifest gives."""
    if type(value) is not str or not value.isprintable() or len(Path(value).name.encode()) > 255:
        raise ValueError(f"file: {value!r:.80}")
    return Path(value).name


def facts_of(manifest: dict[str, Any]) -> dict[str, Any]:
    """What is handed on. Raises KeyError or ValueError where it is not there, or no such thing."""
    facts = {name: manifest[name] for name in FACTS}
    side_of(manifest)
    if type(facts["synthetic"]) is not bool:
        raise ValueError(f"synthetic: {facts['synthetic']!r:.80}")
    for name in ("source", "licence", "attribution"):
        text = facts[name]
        # Printable: they stand in reports, and in files that are UTF-8.
        if type(text) is not str or not 0 < len(text) <= MAX_TEXT or not text.isprintable():
            raise ValueError(f"{name}: {text!r:.80}")
    return facts


def split_digest(folder: Path, categories: int) -> str:
    """Hex sha256 that names the drawings of a split, file by file."""
    return digest([sha256(folder / f"{label:05d}.npy") for label in range(categories)])


def side_of(manifest: dict[str, Any]) -> int:
    """Pixels a side of the drawings. Raises KeyError or ValueError where that is not there."""
    side = manifest["side"]
    if type(side) is not int or not 1 <= side <= MAX_SIDE:
        raise ValueError(f"side: {side!r:.80}")
    return side
