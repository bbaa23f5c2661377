"""What is kept of a folder's images: their pixels, or their files as they came."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from quickspine.errors import InputError
from quickspine.sources import Encoding
from quickspine.sources.folder.pictures import MAX_BYTES, PictureError, kept, pixels
from quickspine.sources.storage.writing import Kind, Pictures, Rows

MAX_SIDE = 2048  # pixels, of images kept raw; as data.image_size
_DIRECTORY = 128  # bytes of an archive, and some more, that a picture takes besides its own
_KINDS = {1: "grey", 3: "colour"}


@dataclass(frozen=True)
class Picture:
    """An image that was read, one way or the other; or why it could not be."""

    path: str  # relative to the folder
    pixels: NDArray[np.uint8] | None = None  # [height, width, channels]
    file: tuple[bytes, Kind] | None = None
    broken: str | None = None

    def append_to(self, written: Rows | Pictures) -> None:
        """Write it."""
        if isinstance(written, Pictures) and self.file is not None:
            written.append(*self.file)
        elif isinstance(written, Rows) and self.pixels is not None:
            written.append(self.pixels.reshape(1, -1))


class AsPixels:
    """Raw pixels: all images have the size and the kind, grey or colour, of the first."""

    encoding: Encoding = "raw"

    def __init__(self) -> None:
        self.shape = (0, 0, 0)
        self._first = ""

    def read(self, root: Path, path: str) -> Picture:
        """One image, decoded."""
        try:
            return Picture(path, pixels=pixels(_content(root, path)))
        except PictureError as error:
            return Picture(path, broken=str(error))

    def needed(self, root: Path, paths: list[str]) -> int:
        """Bytes of all of them, if they are like the first that can be read."""
        for path in paths:
            picture = self.read(root, path)
            if picture.pixels is not None:
                height, width, channels = picture.pixels.shape
                if max(height, width) > MAX_SIDE:
                    raise InputError(
                        f"data.folder: {path!r} is {_told(picture.pixels.shape)}, too large "
                        f"to be kept raw (at most {MAX_SIDE} a side); set data.image_size"
                    )
                self.shape, self._first = (height, width, channels), path
                return picture.pixels.size * len(paths)
        return 0

    def check(self, picture: Picture) -> None:
        """Compare it with the first.

        Raises:
            InputError: if its size is another, or its kind; names both files.
        """
        if picture.pixels is not None and picture.pixels.shape != self.shape:
            raise InputError(
                f"data.folder: {self._first!r} is {_told(self.shape)}, {picture.path!r} "
                f"is {_told(picture.pixels.shape)}; set data.image_size to the pixels a side that "
                "all are to have"
            )

    def writer(self, place: Path) -> Rows:
        """The file of a category; `place` lacks its suffix."""
        return Rows(place.with_suffix(".npy"), int(np.prod(self.shape)))


class AsPictures:
    """JPEG and PNG files, of any sizes, that become `size` by `size` when they are read."""

    encoding: Encoding = "pictures"

    def __init__(self, size: int) -> None:
        self.shape = (size, size, 3)

    def read(self, root: Path, path: str) -> Picture:
        """One image, decoded once to see that it can be."""
        try:
            return Picture(path, file=kept(_content(root, path)))
        except PictureError as error:
            return Picture(path, broken=str(error))

    def needed(self, root: Path, paths: list[str]) -> int:
        """Bytes of all of them; the few that are kept as PNG take more."""
        return sum(_size(Path(root, path)) + _DIRECTORY for path in paths)

    def check(self, picture: Picture) -> None:
        """Any size and kind will do."""

    def writer(self, place: Path) -> Pictures:
        """The file of a category; `place` lacks its suffix."""
        return Pictures(place.with_suffix(".zip"))


def _told(shape: tuple[int, ...]) -> str:
    height, width, channels = shape
    return f"{width}×{height}, {_KINDS[channels]}"  # noqa: RUF001 (times, not x)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # it is named when it is read
        return 0


def _content(root: Path, path: str) -> bytes:
    place = Path(root, path)
    try:
        status = place.stat()
        if not stat.S_ISREG(status.st_mode):  # a named pipe would be waited for
            raise PictureError("not a plain file")
        if status.st_size > MAX_BYTES:
            raise PictureError(f"{status.st_size:,} bytes, more than {MAX_BYTES:,}")
        return place.read_bytes()
    except OSError as error:
        raise PictureError(f"cannot be read ({error.strerror})") from None
