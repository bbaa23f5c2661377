"""A .npy file that grows: rows are appended, the header is set right at the end."""

from __future__ import annotations

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
