"""What a source writes: one file a category, of pixels or of pictures as they came.

Thousands of categories may be written at once, in any order of their images: `Rows` opens its file
only to add to it.
"""

from __future__ import annotations

import resource
import zipfile
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from quickspine.files import sha256
from quickspine.sources import Fetched
from quickspine.sources.file_types import JPEG
from quickspine.sources.storage import npy

_WAITING = 1 << 18  # bytes of a category that are gathered before they are written
_SAME_DATE = (1980, 1, 1, 0, 0, 0)  # equal pictures give equal bytes, whenever they are written


class _File:
    """The file of a category; `close` it, or write it in a `with` block."""

    place: Path
    rows: int  # images so far

    def close(self) -> None:
        """Finish the file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Rows(_File):
    """A `.npy` file of images of one shape, uint8 [rows, pixels], that grows.

    Args:
        place: the file, written anew.
        pixels: bytes of an image: height times width times channels.
    """

    def __init__(self, place: Path, pixels: int) -> None:
        self.place, self.pixels, self.rows = place, pixels, 0
        self._waiting, self._size = list[bytes](), 0
        place.write_bytes(npy.header(0, pixels))

    def append(self, images: NDArray[np.uint8]) -> None:
        """Append uint8 [n, pixels].

        Raises:
            ValueError: if they are anything else.
        """
        if images.dtype != np.uint8 or images.ndim != 2 or images.shape[1] != self.pixels:
            raise ValueError(
                f"rows must be uint8 [n, {self.pixels}]. "
                f"Received: {images.dtype} {list(images.shape)}"
            )
        self._waiting.append(images.tobytes())
        self._size += images.size
        self.rows += len(images)
        if self._size >= _WAITING:
            self._flush()

    def close(self) -> None:
        """Write what waits, and how many rows there are."""
        self._flush()
        with self.place.open("r+b") as file:
            file.write(npy.header(self.rows, self.pixels))

    def _flush(self) -> None:
        with self.place.open("ab") as file:
            file.write(b"".join(self._waiting))
        self._waiting, self._size = [], 0


class Pictures(_File):
    """A zip archive of image files as they came, named by their numbers; nothing is packed again.

    Args:
        place: the file, written anew; it stays open until `close`. For hundreds of them at once
            call `many_files` first.
    """

    def __init__(self, place: Path) -> None:
        self.place, self.rows = place, 0
        self._archive = zipfile.ZipFile(place, "w", zipfile.ZIP_STORED)

    def append(self, content: bytes) -> None:
        """Append the bytes of one JPEG or PNG file."""
        suffix = "jpg" if content.startswith(JPEG) else "png"
        info = zipfile.ZipInfo(f"{self.rows:07d}.{suffix}", _SAME_DATE)
        info.create_system = 3  # the same on every system
        self._archive.writestr(info, content)
        self.rows += 1

    def close(self) -> None:
        """Write the archive's directory."""
        self._archive.close()


def many_files(count: int) -> None:
    """Allow this process `count` open files more than it has, as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + 256 if hard == resource.RLIM_INFINITY else min(hard, count + 256)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def entry(
    category: str, written: Rows | Pictures, url: str, splits: dict[str, int] | None = None
) -> Fetched:
    """What the manifest says of a closed file.

    Args:
        category: its name.
        written: the file.
        url: where the images came from.
        splits: images of each of the source's own splits, in the order of the file.
    """
    place = written.place
    size = place.stat().st_size
    return Fetched(category, place.name, url, written.rows, size, sha256(place), splits)
