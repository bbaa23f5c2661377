"""Headers of `.npy` files: numpy's own pass if they are drawings; nothing else does."""

from __future__ import annotations

import contextlib
import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib import format as numpy_format

from quickspine.sources.storage import npy


def written(array: np.ndarray, version: tuple[int, int] | None = (1, 0)) -> bytes:
    buffer = io.BytesIO()
    # numpy warns that older readers know no version 2.0 or 3.0 unless the version is given.
    numpy_format.write_array(buffer, array, version=version)
    return buffer.getvalue()


def raw(text: str, version: int = 1) -> bytes:
    body = text.encode()
    length = struct.pack("<H" if version == 1 else "<I", len(body))
    return npy.MAGIC + bytes((version, 0)) + length + body


def literal(descr: str = "'|u1'", fortran: str = "False", shape: str = "(3, 784)") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n"


@given(
    rows=st.integers(0, 40),
    columns=st.sampled_from([784, 783, 28, 0]),
    dtype=st.sampled_from(["u1", "i1", "u2", "f4", "?", "S1"]),
    order=st.sampled_from(["C", "F"]),
    version=st.sampled_from([(1, 0), (2, 0), (3, 0)]),
)
def test_numpy_s_own_files_pass_exactly_if_they_are_drawings(
    rows: int, columns: int, dtype: str, order: str, version: tuple[int, int]
) -> None:
    array = np.zeros((rows, columns), dtype, order=order)  # type: ignore[call-overload]
    data = written(array, version)
    if dtype == "u1" and columns == 784 and array.flags.c_contiguous:
        assert npy.parse(data) == npy.Header(len(data) - array.nbytes, rows)
    else:
        with pytest.raises(npy.NpyError):
            npy.parse(data)


@given(rows=st.integers(0, 2**62), cut=st.integers(0, 127))
def test_own_headers_are_numpy_s_and_always_as_long(rows: int, cut: int) -> None:
    header = npy.header(rows)
    assert len(header) == 128
    stream = io.BytesIO(header)
    assert numpy_format.read_magic(stream) == (1, 0)
    assert numpy_format.read_array_header_1_0(stream) == ((rows, 784), False, np.dtype("u1"))
    assert npy.parse(header) == npy.Header(128, rows)
    assert npy.parse(header[:cut]) is None


@given(
    st.one_of(
        st.binary(max_size=300),
        st.binary(max_size=300).map(lambda body: npy.MAGIC + body),
        st.text(max_size=200).map(raw),
        st.tuples(st.integers(0, 127), st.integers(0, 255)).map(
            lambda at: npy.header(9)[: at[0]] + bytes([at[1]]) + npy.header(9)[at[0] + 1 :]
        ),
    )
)
def test_anything_is_judged_without_another_error(data: bytes) -> None:
    header = None
    with contextlib.suppress(npy.NpyError):
        header = npy.parse(data)
    assert header is None or header.length <= len(data)


def test_google_s_headers_of_80_bytes_pass() -> None:
    text = literal(shape="(1167, 784)").rstrip("\n").ljust(69) + "\n"
    assert npy.parse(raw(text)) == npy.Header(80, 1167)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"<!DOCTYPE html><html>", "not a .npy file"),
        (b"\x1f\x8b", "not a .npy file"),
        (npy.MAGIC + b"\x04\x00", "format 4.0"),
        (npy.MAGIC + b"\x01\x01", "format 1.1"),
        (npy.MAGIC + b"\x02\x00\xff\xff\xff\x7f", "at most 10000"),
        (raw(literal("'|O'")), "pickled"),
        (raw(literal("'<f4'")), "type '<f4'"),
        (raw(literal("[('a', '|u1')]")), "type"),
        (raw(literal("['|u1']")), "type"),
        (raw(literal(fortran="True")), "Fortran"),
        (raw(literal(fortran="0")), "Fortran"),
        (raw(literal(shape="(784,)")), "shape"),
        (raw(literal(shape="(3, 28, 28)")), "shape"),
        (raw(literal(shape="(-1, 784)")), "shape"),
        (raw(literal(shape="(True, 784)")), "shape"),
        (raw(literal(shape="(3.0, 784)")), "shape"),
        (raw(literal(shape="[3, 784]")), "shape"),
        (raw(literal(shape=f"({'9' * 5000}, 784)")), "damaged"),
        (raw(literal(shape="__import__('os').getpid()")), "damaged"),
        (raw("(" * 3000), "damaged"),
        (raw("{'descr': '|u1'}"), "damaged"),
        (raw("[]"), "damaged"),
        (npy.MAGIC + b"\x03\x00\x02\x00\x00\x00\xff\xff", "damaged"),
    ],
)
def test_what_is_no_array_of_drawings_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(npy.NpyError, match=problem):
        npy.parse(data)


def test_no_two_threads_parse_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two at Python's parser at once may fail, in some versions: each waits for the other."""
    free: list[bool] = []

    def watched(text: str) -> object:
        free.append(npy._one_at_a_time.acquire(blocking=False))
        return {"descr": "|u1", "fortran_order": False, "shape": (3, npy.ROW)}

    monkeypatch.setattr("quickspine.sources.storage.npy.ast.literal_eval", watched)
    assert npy.parse(npy.header(3)) == npy.Header(len(npy.header(3)), 3)
    assert free == [False]
