"""A file in MNIST's format (IDX), gzipped or not, read a block of rows at a time.

Two zero bytes, one for the type, one for the number of dimensions, each dimension as a big-endian
int32, then the values, the last dimension changing fastest.
Format: https://yann.lecun.com/exdb/mnist/ ("The IDX file format").
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from quickspine.errors import InputError
from quickspine.sources.file_types import GZIP, describe_content

CODES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
TYPES: dict[int, np.dtype[Any]] = {code: np.dtype(name) for code, name in CODES.items()}
MAX_ROW = 1 << 26  # bytes of a row: a header that promises more is damaged
BLOCK = 1 << 22  # bytes read at once, or a row where that is longer
MAX_LABEL = 999  # a larger label is damage
QMNIST_COLUMNS = 8  # class, NIST's series, writer, …


class IdxFile:
    """The rows of a file; its first bytes decide whether it is unpacked, not its name.

    Attributes:
        path: the file.
        dtype: of a value, big-endian.
        shape: of all, [rows, ...].

    Raises:
        InputError: if it cannot be read or is damaged, at once or while it is read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                packed = file.read(len(GZIP)) == GZIP
            self._file: gzip.GzipFile | IO[bytes] = (
                gzip.open(path) if packed else path.open("rb")  # noqa: SIM115 (`close` closes it)
            )
        except OSError as error:
            raise self.error(f"cannot be read ({error.strerror})") from None
        try:
            self.dtype, self.shape = self._header()
        except BaseException:
            self.close()
            raise

    def blocks(self) -> Iterator[NDArray[Any]]:
        """Yield the rows, [up to some megabytes, *shape[1:]], in new memory each.

        With the last ones it is checked that nothing follows, and gzip's checksum.
        """
        rows, *shape = self.shape
        size = self.dtype.itemsize * math.prod(shape)
        most = max(1, BLOCK // size)
        for start in range(0, rows, most):
            count = min(most, rows - start)
            content = self._read(count * size)
            if len(content) < count * size:
                there = start + len(content) // size
                raise self.error(f"cut off: its header promises {rows:,} rows, {there:,} are there")
            yield np.frombuffer(content, self.dtype).reshape(count, *shape)
        if self._read(1):
            raise self.error(f"damaged: more follows after the {rows:,} rows of its header")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def error(self, problem: str, remedy: str = "fetch the file anew") -> InputError:
        """Return the error that names this file."""
        return InputError(f"{self.path}: {problem}; {remedy}")

    def _header(self) -> tuple[np.dtype[Any], tuple[int, ...]]:
        start = self._read(4)
        if start[:2] == GZIP and isinstance(self._file, gzip.GzipFile):
            raise self.error("gzipped twice", "unpack it once (gunzip)")
        if len(start) < 4 or start[:2] != b"\0\0" or start[3] == 0:
            what = describe_content(start + self._read(508))
            raise self.error(f"not in MNIST's format: {what}")
        if start[2] not in TYPES:
            raise self.error(f"values of an unknown IDX type, 0x{start[2]:02X}")
        sizes = self._read(4 * start[3])
        if len(sizes) < 4 * start[3]:
            raise self.error("cut off in its header")
        shape = tuple(int(size) for size in np.frombuffer(sizes, ">i4"))
        dtype = TYPES[start[2]]
        row = math.prod(shape[1:]) * dtype.itemsize
        if shape[0] < 0 or min(shape[1:], default=1) <= 0 or row > MAX_ROW:
            raise self.error(f"damaged: its header gives the dimensions {list(shape)}")
        return dtype, shape

    def _read(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except EOFError:
            raise self.error("cut off: the gzip stream has no end") from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise self.error(f"damaged gzip ({error})") from None
        except OSError as error:
            raise self.error(f"cannot be read ({error.strerror})") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_labels(path: Path) -> NDArray[np.int64]:
    """Read a file of labels: uint8 [n], or int32 [n, 8] as QMNIST's, where the first is the label.

    Returns:
        int64 [n], 0 to `MAX_LABEL`.

    Raises:
        InputError: if it is damaged or anything else.
    """
    with IdxFile(path) as file:
        plain = file.dtype == np.uint8 and len(file.shape) == 1
        if not plain and not (file.dtype == ">i4" and file.shape[1:] == (QMNIST_COLUMNS,)):
            raise file.error(
                f"holds {file.dtype.name} {list(file.shape)}",
                f"labels are uint8 [n], or int32 [n, {QMNIST_COLUMNS}] as QMNIST's",
            )
        if file.shape[0] == 0:
            raise file.error("holds no labels: its header gives 0 rows")
        blocks = [block if plain else block[:, 0] for block in file.blocks()]
        labels = np.concatenate([np.empty(0, np.int64), *blocks]).astype(np.int64)
        if wrong := labels[(labels < 0) | (labels > MAX_LABEL)][:1].tolist():
            raise file.error(f"damaged: label {wrong[0]} is out of range (0 to {MAX_LABEL})")
        return labels
