"""The raw folder that fetch made: its manifest and its drawings, in chunks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quickspine.errors import WrongInputError
from quickspine.files import digest, read_json, sha256
from quickspine.parallel import Stop, go_on
from quickspine.sources.npy import MAX_HEADER, NpyError, parse

MAX_SIDE = 4096  # pixels
CHUNK = 2048  # drawings read at once, so few that they stay in the processor's cache
PIECE = 1 << 20  # bytes hashed at once
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
            self.files = [
                RawFile(
                    category,
                    folder / _name(entries[category]["file"]),
                    int(entries[category]["rows"]),
                    self.side**2,
                    str(entries[category]["sha256"]),
                )
                for category in categories
            ]
        except KeyError as error:
            raise WrongInputError(f"{path}: lacks {error!s:.80}; run: dvc repro -f fetch") from None
        except (TypeError, ValueError, OverflowError) as error:
            reason = f"{error!s:.200}"
            raise WrongInputError(f"{path}: damaged ({reason}); run: dvc repro -f fetch") from None
        self.categories = categories
        self.rows = [file.rows for file in self.files]

    def check_unchanged(self) -> None:
        """Another `fetch` may have replaced the drawings while they were read."""
        path = self.folder / "manifest.json"
        if read_json(path, "fetch") != self.manifest:
            raise WrongInputError(f"{path}: replaced while it was read; run this again")


@dataclass(frozen=True)
class RawFile:
    """The file of one category in a raw folder; nothing of it is read before it is asked for."""

    category: str
    path: Path
    rows: int  # drawings
    pixels: int  # of a drawing
    sha256: str  # of the file

    def check(self, stop: Stop) -> None:
        """Compare the file with its digest and its number of drawings in the manifest.

        Raises:
            WrongInputError: if it is not what was fetched.
            GivenUpError: once `stop` is set.
        """
        if not self.path.is_file() or self._sha256(stop) != self.sha256:
            raise WrongInputError(
                f"{self.path}: not the {self.rows} drawings of {self.category!r} "
                "that were fetched; run: dvc repro -f fetch"
            )
        self._drawings()

    def chunks(
        self, start: int = 0, stop: int | None = None, size: int | None = None
    ) -> Iterator[NDArray[np.uint8]]:
        """Yield drawings `start` to `stop` (None: all), uint8 [up to CHUNK or `size`, pixels].

        All in the same memory: each is gone once the next one is asked for.
        """
        return self._drawings().chunks(size or CHUNK, stop, start)

    def _drawings(self) -> Drawings:
        return Drawings(self.path, self.rows, self.pixels, "fetch")

    def _sha256(self, stop: Stop) -> str:
        hasher, piece = hashlib.sha256(), bytearray(PIECE)
        with self.path.open("rb", buffering=0) as file:
            while size := file.readinto(piece):
                hasher.update(memoryview(piece)[:size])
                go_on(stop)
        return hasher.hexdigest()


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
                header = parse(file.read(MAX_HEADER), pixels)
            if header is None:
                raise NpyError("it ends in its header")
            size = path.stat().st_size - header.length
        except (OSError, NpyError) as error:
            raise self._wrong(str(error)) from None
        self.start = header.length
        if header.rows != rows:
            raise self._wrong(f"{header.rows} drawings, where the manifest says {rows}")
        if size != rows * pixels:
            raise self._wrong(f"{size} bytes of drawings, where its header says {rows * pixels}")

    def header(self) -> bytes:
        """What stands before the first drawing."""
        with self.path.open("rb") as file:
            return file.read(self.start)

    def chunks(
        self, size: int, limit: int | None = None, first: int = 0
    ) -> Iterator[NDArray[np.uint8]]:
        """Yield drawings `first` to `limit` (None: all), uint8 [up to `size`, pixels] at a time.

        All in the same memory, which new memory each time would cost a tenth of the reading more:
        each is gone once the next one is asked for.
        """
        stop = self.rows if limit is None else min(limit, self.rows)
        room = np.empty((min(size, max(0, stop - first)), self.pixels), np.uint8)
        with self.path.open("rb") as file:
            file.seek(self.start + first * self.pixels)
            for start in range(first, stop, size):
                chunk = room[: stop - start]
                if file.readinto(chunk.data) != chunk.size:
                    raise self._wrong("it became shorter while it was read")
                yield chunk

    def _wrong(self, problem: str) -> WrongInputError:
        return WrongInputError(f"{self.path}: {problem}; run: dvc repro -f {self._made_by}")


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
    """Hex sha256 that names the drawings of a split, file by file: a digest of their digests."""
    return digest([sha256(folder / f"{label:05d}.npy") for label in range(categories)])


def side_of(manifest: dict[str, Any]) -> int:
    """Pixels a side of the drawings. Raises KeyError or ValueError where that is not there."""
    side = manifest["side"]
    if type(side) is not int or not 1 <= side <= MAX_SIDE:
        raise ValueError(f"side: {side!r:.80}")
    return side
