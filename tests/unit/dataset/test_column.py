"""A byte a drawing on disk behaves as an array in memory does."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quickspine.dataset.prepare import disk_array as module
from quickspine.dataset.prepare.disk_array import Column

VALUES = st.lists(st.integers(0, 255), max_size=60)


@given(
    pieces=st.lists(VALUES, max_size=4),
    changes=st.lists(st.tuples(st.sets(st.integers(0, 239)), st.integers(0, 255)), max_size=4),
    window=st.sampled_from([1, 7, 64, 1 << 20]),
)
def test_it_is_an_array(
    pieces: list[list[int]], changes: list[tuple[set[int], int]], window: int
) -> None:
    expected = np.array([value for piece in pieces for value in piece], np.uint8)
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(module, "WINDOW", window)
        place = Path(folder, "column")
        with Column(place) as column:
            for piece in pieces:
                column.append(np.array(piece, np.uint8))
            assert len(column) == len(expected)
            for numbers, value in changes:
                rows = np.array(sorted(n for n in numbers if n < len(expected)), np.int64)
                changed = int((expected[rows] != value).sum())
                expected[rows] = value
                assert column.set(rows, value) == changed
            for start in range(0, len(expected), 11):
                found = column.read(start, 11)
                np.testing.assert_array_equal(found, expected[start : start + 11])
            assert place.stat().st_size <= len(expected)
        assert not place.exists()
