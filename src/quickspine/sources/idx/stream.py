"""A file in MNIST's format, gzipped or not, read from its beginning to its end.

Two zero bytes, one for the type, one for the number of dimensions, each dimension as a big-endian
int32, then the values, big-endian, the last dimension changing fastest.
Format: https://yann.lecun.com/exdb/mnist/ ("The IDX file format").
"""

from __future__ import annotations

import gzip
import io
import math
import zlib
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from quickspine.errors import InputError

TYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype(np.uint8),
    0x09: np.dtype(np.int8),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
MAX_ROW = 1 << 26  # bytes of one row: what a damaged header asks for is not believed
CHUNK = 1 << 22  # bytes read at once, or a row where that is longer


class Idx:
    """The rows of a file.

    Args:
        path: the file; one whose name ends in `.gz` is unpacked while it is read.

    Attributes:
        dtype: of a value.
        rows: the first dimension.
        shape: the other ones, of a row.

    Raises:
        InputError: if it cannot be read, or is no such file; here and while it is read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file: gzip.GzipFile | io.BufferedReader = (
                gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb")  # noqa: SIM115 (`close` closes it)
            )
        except OSError as error:
            raise self.wrong(f"cannot be read ({error.strerror})") from None
        try:
            self.dtype, self.rows, self.shape = self._header()
        except BaseException:
            self.close()
            raise
        self.row = self.dtype.itemsize * math.prod(self.shape)
        self._done = 0

    def read(self, most: int = CHUNK) -> NDArray[Any]:
        """The next rows, [up to `most`, *shape], of at most CHUNK bytes; none after the last.

        That nothing follows them, and gzip's checksum, are looked at with the last ones.
        """
        count = min(self.rows - self._done, most, max(1, CHUNK // self.row))
        content = self._read(count * self.row)
        if len(content) < count * self.row:
            there = self._done + len(content) // self.row
            raise self.wrong(
                f"cut off: its header promises {self.rows:,} rows, {there:,} are there"
            )
        self._done += count
        if self._done == self.rows and self._read(1):
            raise self.wrong(f"damaged: more follows after the {self.rows:,} rows of its header")
        return np.frombuffer(content, self.dtype).reshape(count, *self.shape)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def wrong(self, problem: str) -> InputError:
        """The error that tells `problem` of this file."""
        return InputError(f"{self.path}: {problem}; fetch the file anew")

    def _header(self) -> tuple[np.dtype[Any], int, tuple[int, ...]]:
        magic = self._read(4)
        if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES or magic[3] == 0:
            raise self.wrong(f"not in MNIST's format; it starts with {magic!r}")
        sizes = self._read(4 * magic[3])
        if len(sizes) < 4 * magic[3]:
            raise self.wrong("cut off in its header")
        rows, *shape = (int(size) for size in np.frombuffer(sizes, ">i4"))
        dtype = TYPES[magic[2]]
        if rows < 0 or any(not 0 < size <= MAX_ROW for size in shape):
            raise self.wrong(f"damaged: its header gives the dimensions {[rows, *shape]}")
        if math.prod(shape) * dtype.itemsize > MAX_ROW:
            raise self.wrong(f"damaged: its header gives the dimensions {[rows, *shape]}")
        return dtype, rows, tuple(shape)

    def _read(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except EOFError:
            raise self.wrong("cut off: the gzip stream has no end") from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise self.wrong(f"damaged gzip ({error})") from None
        except OSError as error:
            raise self.wrong(f"cannot be read ({error.strerror})") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
