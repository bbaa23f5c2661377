"""The raw folder that fetch made: its manifest, and the images of each category.

Images are read by their row and never mapped, so that a category larger than the address space can
be read, and a file that shrinks is an error instead of a SIGBUS.
"""

from __future__ import annotations

import hashlib
import math
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quickspine.errors import InputError
from quickspine.files import read_json
from quickspine.parallel import Stop, go_on
from quickspine.sources.storage import npy
from quickspine.sources.storage.manifest import (
    PICTURES,
    facts_of,
    file_name,
    given_of,
    shape_of,
)

PIECE = 1 << 20  # bytes hashed at once
TOGETHER = 128  # images read at once, where what lies between them is not more than
BETWEEN = 16  # times their bytes: many small reads hold up the other threads
LOCAL_HEADER = 30  # bytes before the name of a zip archive's member, then its content

Offsets = NDArray[np.int64]
Places = Callable[[NDArray[np.int64]], tuple[Offsets, Offsets]]  # from rows to offsets and sizes


@dataclass(frozen=True)
class CategoryFile:
    """The file of one category; nothing of it is read before it is asked for.

    Images are rows of a .npy file, or JPEG and PNG files in an archive that `writing.Pictures`
    wrote.

    Attributes:
        category: its name.
        path: of the file.
        rows: number of images, as the manifest says.
        sha256: of the file, as the manifest says.
        given: images in each of the source's own splits, which follow one another; None: no splits.
        pixels: bytes of an image; None: files in an archive.
    """

    category: str
    path: Path
    rows: int
    sha256: str
    given: tuple[int, ...] | None
    pixels: int | None

    def check(self, stop: Stop) -> None:
        """Compare the file with its sha256 and its number of images in the manifest.

        Raises:
            InputError: if it is not what was fetched.
            GivenUpError: once `stop` is set.
        """
        if not self.path.is_file() or self._sha256(stop) != self.sha256:
            raise InputError(
                f"{self.path}: not the {self.rows} images of {self.category!r} "
                "that were fetched; run: dvc repro -f fetch"
            )
        _ = self._places

    def read(self, rows: Sequence[int], stop: Stop) -> Iterator[bytes]:
        """Yield the bytes of the images at `rows`, which ascend.

        Raises:
            InputError: if the file is not what the manifest says, or ends before a row.
            GivenUpError: once `stop` is set.
        """
        places = self._places
        try:
            with self.path.open("rb", buffering=0) as file:
                for first in range(0, len(rows), TOGETHER):
                    go_on(stop)
                    chosen = np.asarray(rows[first : first + TOGETHER], np.int64)
                    yield from self._read(file.fileno(), *places(chosen))
        except OSError as error:
            raise InputError(self._wrong(error.strerror)) from None

    def _read(self, handle: int, offsets: Offsets, sizes: Offsets) -> Iterator[bytes]:
        """Images at ascending offsets: one by one, or at once with what lies between them."""
        start, end = int(offsets[0]), int(offsets[-1] + sizes[-1])
        near = end - start <= BETWEEN * sizes.sum()
        whole = os.pread(handle, end - start, start) if near else b""
        for offset, size in zip(offsets.tolist(), sizes.tolist(), strict=True):
            if near:
                content = whole[offset - start : offset - start + size]
            else:
                content = os.pread(handle, size, offset)
            if len(content) != size:
                raise InputError(self._wrong("it became shorter while it was read"))
            yield content

    @cached_property
    def _places(self) -> Places:
        """Where each image is, once the file is found to hold as many as the manifest says."""
        try:
            return self._in_archive() if self.pixels is None else self._in_array(self.pixels)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, RuntimeError) as error:
            raise InputError(self._wrong(error)) from None

    def _in_array(self, pixels: int) -> Places:
        with self.path.open("rb") as file:
            header = npy.parse(file.read(npy.MAX_HEADER), pixels)
        if header is None:
            raise ValueError("it ends in its header")
        if header.rows != self.rows:
            raise ValueError(f"{header.rows} images, where the manifest says {self.rows}")
        size = self.path.stat().st_size - header.length
        if size != self.rows * pixels:
            raise ValueError(f"{size} bytes of pixels, where its header says {self.rows}")
        return lambda rows: (header.length + rows * pixels, np.full(len(rows), pixels))

    def _in_archive(self) -> Places:
        with zipfile.ZipFile(self.path) as archive:
            members = archive.infolist()
        if len(members) != self.rows:
            raise ValueError(f"{len(members)} images, where the manifest says {self.rows}")
        if any(one.compress_type != zipfile.ZIP_STORED for one in members):
            raise ValueError("compressed images")
        starts = [one.header_offset + LOCAL_HEADER + len(one.filename) for one in members]
        offsets, sizes = np.array([starts, [one.file_size for one in members]], np.int64)
        return lambda rows: (offsets[rows], sizes[rows])

    def _wrong(self, problem: object) -> str:
        return f"{self.path}: {problem!s:.200}; run: dvc repro -f fetch"

    def _sha256(self, stop: Stop) -> str:
        hasher, piece = hashlib.sha256(), bytearray(PIECE)
        with self.path.open("rb", buffering=0) as file:
            while size := file.readinto(piece):
                hasher.update(memoryview(piece)[:size])
                go_on(stop)
        return hasher.hexdigest()


class Raw:
    """Categories and images of a raw folder.

    Args:
        folder: what fetch made.
        categories: those to take, in the order of their labels; empty: all that are there.

    Raises:
        InputError: if the manifest is missing or damaged, or lacks a category.
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
        pixels = None if self.has_pictures else self.pixels
        return CategoryFile(category, path, rows, str(entry["sha256"]), given_of(entry), pixels)

    @property
    def pixels(self) -> int:
        """Bytes of an image of pixels."""
        return math.prod(self.shape)

    @property
    def has_pictures(self) -> bool:
        """Whether the images are JPEG and PNG files as they came, instead of pixels."""
        return bool(self.facts["encoding"] == PICTURES)

    def check_unchanged(self) -> None:
        """Raise InputError where another `fetch` replaced the images while they were read."""
        path = self.folder / "manifest.json"
        if read_json(path, "fetch") != self.manifest:
            raise InputError(f"{path}: replaced while it was read; run this again")
