"""What sources write: as numpy and zip would, in any order of categories."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quickspine.files import sha256
from quickspine.sources.storage import writing
from quickspine.sources.storage.writing import Pictures, Rows, entry, many_files


@settings(max_examples=30)
@given(sizes=st.lists(st.integers(0, 40), max_size=8), pixels=st.integers(1, 300))
def test_rows_are_what_numpy_would_save(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], pixels: int
) -> None:
    place = tmp_path_factory.getbasetemp() / "rows.npy"
    parts = [np.full((size, pixels), number, np.uint8) for number, size in enumerate(sizes)]
    with Rows(place, pixels) as rows:
        for part in parts:
            rows.append(part)
    expected = np.concatenate([np.empty((0, pixels), np.uint8), *parts])
    np.save(place.with_name("expected.npy"), expected)
    assert place.read_bytes() == place.with_name("expected.npy").read_bytes()
    assert rows.rows == len(expected)


def test_many_categories_grow_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_WAITING", 100)  # written now and then, not at the end
    files = [Rows(tmp_path / f"{label}.npy", 30) for label in range(50)]
    for number in range(20):
        for label, file in enumerate(files):
            file.append(np.full((1, 30), (number + label) % 256, np.uint8))
    for label, file in enumerate(files):
        file.close()
        found = np.load(file.place)
        np.testing.assert_array_equal(found[:, 0], np.arange(20) + label)


def test_rows_of_another_shape_are_refused(tmp_path: Path) -> None:
    with Rows(tmp_path / "a.npy", 4) as rows:
        wrongs: list[Any] = [np.zeros((2, 5), np.uint8), np.zeros(4, np.uint8), np.zeros((1, 4))]
        for wrong in wrongs:
            with pytest.raises(ValueError, match=r"rows must be uint8 \[n, 4\]\. Received: "):
                rows.append(wrong)


def test_pictures_are_kept_as_they_came_and_give_the_same_bytes(tmp_path: Path) -> None:
    contents = [b"\xff\xd8\xff one", b"\x89PNG two"]
    for name in ("a.zip", "b.zip"):
        with Pictures(tmp_path / name) as file:
            file.append(contents[0])
            file.append(contents[1])
    assert sha256(tmp_path / "a.zip") == sha256(tmp_path / "b.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == ["0000000.jpg", "0000001.png"]
        assert [archive.read(name) for name in archive.namelist()] == contents
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
    found = entry("a/b", file, "here", {"train": 1, "test": 1})
    assert (found.file, found.rows, found.splits) == ("b.zip", 2, {"train": 1, "test": 1})
    assert found.sha256 == sha256(tmp_path / "b.zip")


def test_more_files_may_be_open_than_before(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    set_to = list[tuple[int, int]]()
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limits: set_to.append(limits))
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (64, 1000))
    many_files(500)
    many_files(5000)
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (soft, hard))
    many_files(-1000)
    assert set_to == [(756, 1000), (1000, 1000)]
