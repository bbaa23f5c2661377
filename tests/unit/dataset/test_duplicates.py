"""Equal drawings are found exactly as numpy.unique finds them, in any number of buckets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quickspine.dataset.prepare import duplicates
from quickspine.dataset.prepare.content import digests
from quickspine.dataset.prepare.duplicates import DuplicateFinder


def found(folder: Path, chunks: list[np.ndarray], expected: int) -> list[int]:
    with DuplicateFinder(folder, expected) as finder:
        for chunk in chunks:
            finder.add(chunk)
        numbers = [int(number) for part in finder.repeated() for number in part]
    assert list(folder.iterdir()) == []
    return sorted(numbers)


@pytest.mark.parametrize("bucket", [1, 7, 100, 10_000])
@given(
    rows=st.lists(st.integers(0, 12), max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=4),
)
def test_as_numpy_finds_them(
    tmp_path_factory: pytest.TempPathFactory, bucket: int, rows: list[int], cuts: list[int]
) -> None:
    folder = tmp_path_factory.getbasetemp() / "buckets"
    folder.mkdir(exist_ok=True)
    content = digests(np.array(rows, np.uint8).reshape(-1, 1))
    chunks = np.split(content, sorted(cut for cut in cuts if cut <= len(rows)))
    _, first = np.unique(np.array(rows), return_index=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "DRAWINGS_A_BUCKET", bucket)
        numbers = found(folder, chunks, len(rows))
    assert numbers == sorted(set(range(len(rows))) - set(first.tolist()))


@pytest.mark.parametrize("bucket", [400, 1_000_000])
def test_among_many_drawings_with_many_repeats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bucket: int
) -> None:
    monkeypatch.setattr(duplicates, "DRAWINGS_A_BUCKET", bucket)
    values = np.random.default_rng(0).zipf(1.3, 20_000) % 6000
    content = digests(values.astype("<u4").view(np.uint8).reshape(-1, 4))
    _, first = np.unique(values, return_index=True)
    numbers = found(tmp_path, np.array_split(content, 7), len(values))
    assert numbers == sorted(set(range(len(values))) - set(first.tolist()))


def test_digests_that_agree_in_one_word_only_are_no_repeats(tmp_path: Path) -> None:
    content = np.array([[1, 2], [1, 3], [2, 2], [0, 0], [3, 1], [2, 1]], np.uint64)
    assert found(tmp_path, [content], 6) == []
    assert found(tmp_path, [content, content[::-1]], 12) == [6, 7, 8, 9, 10, 11]


def test_the_bucket_files_go_after_an_error_too(tmp_path: Path) -> None:
    def fail() -> None:
        with DuplicateFinder(tmp_path, 10) as finder:
            finder.add(np.ones((3, 2), np.uint64))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("expected", "count"), [(0, 1), (1, 1), (10, 1), (11, 2), (25, 3)])
def test_there_are_as_many_buckets_as_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: int, count: int
) -> None:
    monkeypatch.setattr(duplicates, "DRAWINGS_A_BUCKET", 10)
    with DuplicateFinder(tmp_path, expected):
        assert len(list(tmp_path.iterdir())) == count
