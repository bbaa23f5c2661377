"""A .npy file that grows is the file numpy would have written at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quickspine.training.growing_npy import GrowingNpy


@given(
    sizes=st.lists(st.integers(0, 30), max_size=6),
    row=st.lists(st.integers(1, 5), max_size=2).map(tuple),
    dtype=st.sampled_from(["u1", "<f4", "<i8", "?"]),
)
def test_the_bytes_are_those_of_numpy(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], row: tuple[int, ...], dtype: str
) -> None:
    folder = tmp_path_factory.getbasetemp()
    generator = np.random.default_rng(0)
    chunks = [generator.integers(0, 200, (size, *row)).astype(dtype) for size in sizes]
    with GrowingNpy(folder / "grown.npy", row, np.dtype(dtype)) as file:
        for chunk in chunks:
            file.append(chunk)
        assert file.rows == sum(sizes)
    whole = np.concatenate([np.empty((0, *row), dtype), *chunks])
    np.save(folder / "whole.npy", whole)
    assert (folder / "grown.npy").read_bytes() == (folder / "whole.npy").read_bytes()


def test_chunks_that_do_not_lie_in_one_piece_are_written_in_order(tmp_path: Path) -> None:
    values = np.arange(60, dtype=np.uint8).reshape(6, 10)
    with GrowingNpy(tmp_path / "a.npy", (5,), np.dtype(np.uint8)) as file:
        file.append(values[::2, ::2])
        file.append(np.asfortranarray(values[:, :5]))
    expected = np.concatenate([values[::2, ::2], values[:, :5]])
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), expected)


@pytest.mark.parametrize("rows", [np.zeros((2, 4), np.uint8), np.zeros((2, 5), np.int8)])
def test_other_rows_are_refused(tmp_path: Path, rows: np.ndarray) -> None:
    with (
        GrowingNpy(tmp_path / "a.npy", (5,), np.dtype(np.uint8)) as file,
        pytest.raises(ValueError, match=r"rows must be uint8 \(5,\)\. Received: "),
    ):
        file.append(rows)
    assert np.load(tmp_path / "a.npy").shape == (0, 5)
