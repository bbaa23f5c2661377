"""The header of a `.npy` file: parsed and judged before any of its data is believed.

Only drawings are let through: uint8, C order, [rows, pixels]. A pickle is never loaded: a file of
Python objects is refused by its header, which is a literal, not code.
Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from __future__ import annotations

import ast
import io
import threading
from dataclasses import dataclass

from numpy.lib import format as numpy_format

ROW = 784  # bytes of a drawing as Quick, Draw! has it: 28 × 28 uint8
MAGIC = b"\x93NUMPY"
MAX_HEADER = 10_000  # bytes; numpy's own limit for files that nobody vouches for
# CPython counts the depth of an AST once for all threads: two at it at once may raise SystemError.
# https://github.com/python/cpython/issues/106905
_one_at_a_time = threading.Lock()
UINT8 = ("|u1", "u1", "<u1", ">u1")


class NpyError(ValueError):
    """Not a `.npy` file of drawings; says what it is instead."""


@dataclass(frozen=True)
class Header:
    """What the first bytes of a file of drawings promise."""

    length: int  # bytes before the first drawing
    rows: int  # drawings


def parse(start: bytes, row: int = ROW) -> Header | None:
    """Judge the header at the beginning of a `.npy` file.

    Args:
        start: the file's first bytes, as many as are at hand.
        row: bytes of a drawing.

    Returns:
        The header, or None where it is longer than `start`.

    Raises:
        NpyError: as soon as `start` shows that this cannot be uint8 [rows, row] in C order.
    """
    if start[: len(MAGIC)] != MAGIC[: len(start)]:
        raise NpyError(f"not a .npy file; it starts with {start[:24]!r}")
    if len(start) < len(MAGIC) + 2:
        return None
    version = start[len(MAGIC)]
    if version not in (1, 2, 3) or start[len(MAGIC) + 1] != 0:
        raise NpyError(f".npy format {version}.{start[len(MAGIC) + 1]}; 1.0, 2.0 and 3.0 are known")
    text_at = len(MAGIC) + 2 + (2 if version == 1 else 4)
    if len(start) < text_at:
        return None
    length = text_at + int.from_bytes(start[len(MAGIC) + 2 : text_at], "little")
    if length > MAX_HEADER:
        raise NpyError(f"a .npy header of {length} bytes; at most {MAX_HEADER} are read")
    if len(start) < length:
        return None
    encoding = "utf-8" if version == 3 else "latin-1"
    return Header(length, _rows(start[text_at:length], encoding, row))


def header(rows: int, row: int = ROW) -> bytes:
    """The header that numpy writes (format 1.0) before uint8 [rows, row] in C order.

    numpy leaves room for the number of rows to grow: the length, 128 bytes, is always the same.
    """
    buffer = io.BytesIO()
    fields = {"descr": "|u1", "fortran_order": False, "shape": (rows, row)}
    numpy_format.write_array_header_1_0(buffer, fields)
    return buffer.getvalue()


def _rows(text: bytes, encoding: str, row: int) -> int:
    try:
        with _one_at_a_time:
            fields = ast.literal_eval(text.decode(encoding).strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise NpyError(f"a damaged .npy header: {_shown(text)}") from None
    if not isinstance(fields, dict) or fields.keys() != {"descr", "fortran_order", "shape"}:
        raise NpyError(f"a damaged .npy header: {_shown(text)}")
    dtype, fortran, shape = fields["descr"], fields["fortran_order"], fields["shape"]
    if isinstance(dtype, str) and dtype.lstrip("|<>=") == "O":
        raise NpyError("an array of pickled Python objects, which is never loaded; uint8 is needed")
    if dtype not in UINT8:
        raise NpyError(f"an array of type {_shown(dtype)}; uint8 ('|u1') is needed")
    if fortran is not False:
        raise NpyError("an array in Fortran order; C order is needed")
    if (
        not isinstance(shape, tuple)
        or len(shape) != 2
        or any(type(size) is not int or size < 0 for size in shape)
        or shape[1] != row
    ):
        raise NpyError(f"an array of shape {_shown(shape)}; (images, {row}) is needed")
    rows: int = shape[0]
    return rows


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python writes no integer of more than 4,300 digits
        text = "with an integer of thousands of digits"
    return text if len(text) <= 80 else text[:77] + "..."
