"""A .npy file that grows: rows are appended, the header is set right at the end.

Or one whose number of rows is known: it is hashed as it is written, not read again for that.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray


class GrowingNpy:
    """Appends rows to a .npy file.

    NumPy pads its headers so that the first axis may grow in place; the header written at the end
    therefore has the length of the one written at the start.

    Args:
        path: the file, written anew.
        row: the shape of one row.
        dtype: of the values.
    """

    def __init__(self, path: Path, row: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._file = path.open("wb")
        self._row = row
        self._dtype = dtype
        self.rows = 0
        self._write_header()

    def _write_header(self) -> None:
        shape, descr = (self.rows, *self._row), npy_format.dtype_to_descr(self._dtype)
        header = {"descr": descr, "fortran_order": False, "shape": shape}
        npy_format.write_array_header_1_0(self._file, header)

    def append(self, rows: NDArray[Any]) -> None:
        """Append values [n, *row]."""
        if rows.shape[1:] != self._row or rows.dtype != self._dtype:
            raise ValueError(
                f"rows must be {self._dtype} {self._row}. Received: {rows.dtype} {rows.shape[1:]}"
            )
        self._file.write(np.ascontiguousarray(rows).data)
        self.rows += len(rows)

    def close(self) -> None:
        """Set the header right and close the file."""
        self._file.seek(0)
        self._write_header()
        self._file.close()

    def __enter__(self) -> GrowingNpy:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:  # what is written is of no use, and on a full disk cannot be finished
            self._file.close()


class HashedNpy:
    """Writes uint8 rows to a .npy file, and knows its sha256 at the end.

    Args:
        path: the file, written anew.
        rows: how many will be appended, all in all.
        pixels: of a row.
    """

    def __init__(self, path: Path, rows: int, pixels: int) -> None:
        self._left, self._shape, self._hasher = rows, (rows, pixels), hashlib.sha256()
        self._file = path.open("wb", buffering=0)
        header = io.BytesIO()
        shape = {"descr": "|u1", "fortran_order": False, "shape": self._shape}
        npy_format.write_array_header_1_0(header, shape)
        self._write(memoryview(header.getvalue()))

    def append(self, rows: NDArray[np.uint8]) -> None:
        """Append uint8 [n, pixels]."""
        if len(rows) > self._left or rows.shape[1:] != self._shape[1:] or rows.dtype != np.uint8:
            raise ValueError(
                f"{self._left} of uint8 {self._shape} are left. Received: {rows.dtype} {rows.shape}"
            )
        self._left -= len(rows)
        if len(rows):
            self._write(np.ascontiguousarray(rows).data.cast("B"))

    def close(self) -> str:
        """Close the file; return its hex sha256.

        Raises:
            ValueError: if rows are missing.
        """
        if self._left:
            raise ValueError(f"{self._left} of {self._shape[0]} rows are missing")
        self._file.close()
        return self._hasher.hexdigest()

    def _write(self, content: memoryview) -> None:
        self._hasher.update(content)
        while content:  # a disk that fills up takes a part
            content = content[self._file.write(content) :]

    def __enter__(self) -> HashedNpy:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
