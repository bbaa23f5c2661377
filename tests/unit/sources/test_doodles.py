"""Drawings that depend on their number alone, in files as numpy writes them."""

from __future__ import annotations

import hashlib
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import LogisticRegression

from quickspine.categories import DOODLES
from quickspine.dataset.prepare.contact_sheet import contact_sheet
from quickspine.errors import NoSpaceError
from quickspine.params import Data
from quickspine.sources import doodles
from quickspine.sources.doodles.drawing import draw, strokes
from quickspine.sources.doodles.hand import generator


def data(names: tuple[str, ...] = ("cat", "wine glass"), rows: int = 50, seed: int = 1) -> Data:
    return Data(
        source="doodles",
        categories=names,
        drawings_per_category=rows,
        mirror="https://example.org",
        seed=seed,
    )


@pytest.fixture(scope="module")
def drawn() -> dict[str, NDArray[np.uint8]]:
    return {category: draw(category, 7, 0, 300) for category in DOODLES}


def test_no_drawing_is_blank_and_no_two_are_alike(drawn: dict[str, NDArray[np.uint8]]) -> None:
    for category, bitmaps in drawn.items():
        assert bitmaps.shape == (300, 28, 28), category
        assert bitmaps.dtype == np.uint8
        ink = bitmaps.reshape(300, -1).sum(axis=1, dtype=np.int64) / 255
        assert ink.min() > 10, category  # pixels' worth
        assert ink.max() < 400, category
        assert len({bitmap.tobytes() for bitmap in bitmaps}) == 300, category


@settings(deadline=None, max_examples=30)
@given(
    st.sampled_from(DOODLES),
    st.integers(0, 2**31 - 1),
    st.integers(0, 10**9),
    st.lists(st.integers(0, 8), max_size=4),
)
def test_chunks_make_no_difference(category: str, seed: int, start: int, cuts: list[int]) -> None:
    whole = draw(category, seed, start, start + 8)
    edges = [0, *sorted(cuts), 8]
    parts = [draw(category, seed, start + a, start + b) for a, b in pairwise(edges)]
    assert np.array_equal(np.concatenate(parts), whole)


def test_seed_category_and_index_each_make_another_drawing() -> None:
    streams = {
        generator(seed, category, index).random(4).tobytes()
        for seed in (0, 1, 11)
        for category in ("cat", "key")
        for index in (0, 1, 11)
    }
    assert len(streams) == 18


@settings(deadline=None, max_examples=50)
@given(st.sampled_from(DOODLES), st.integers(0, 10**6))
def test_strokes_fill_the_frame(category: str, index: int) -> None:
    parts = strokes(category, 3, index)
    points = np.concatenate(parts)
    assert all(len(part) and part.ndim == 2 for part in parts)
    assert points.min() == pytest.approx(0, abs=1e-9)
    assert np.ptp(points, axis=0).max() == pytest.approx(255)


def test_fetch_writes_what_numpy_would_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doodles, "_CHUNK", 16)  # several chunks a file, the last one short
    entries = doodles.fetch(data(), tmp_path).entries
    assert [entry.category for entry in entries] == ["cat", "wine glass"]
    assert entries[1].url == "quickspine:doodles/wine%20glass?seed=1"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cat.npy", "wine glass.npy"]
    for entry in entries:
        bitmaps = np.load(tmp_path / entry.file)
        assert bitmaps.shape == (50, 784)
        assert bitmaps.dtype == np.uint8
        assert bitmaps.flags.c_contiguous
        assert np.array_equal(bitmaps.reshape(-1, 28, 28), draw(entry.category, 1, 0, 50))
        np.save(tmp_path / "again", bitmaps)
        content = (tmp_path / entry.file).read_bytes()
        assert (tmp_path / "again.npy").read_bytes() == content
        assert entry.sha256 == hashlib.sha256(content).hexdigest()
        assert (entry.rows, entry.bytes) == (50, len(content))
    assert capsys.readouterr().err == ""  # no bar where stderr is no terminal


def test_processes_draw_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = data(("apple", "zigzag"), 60)
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one = doodles.fetch(asked, tmp_path / "one")
    monkeypatch.setattr(doodles, "_ALONE", 0)
    monkeypatch.setattr(doodles, "_CHUNK", 25)
    monkeypatch.setattr(doodles, "cores", lambda: 2)
    assert doodles.fetch(asked, tmp_path / "two") == one


def test_a_full_disk_is_found_before_the_first_drawing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(NoSpaceError, match=r"needed .* lower data\.drawings_per_category"):
        doodles.fetch(data(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_pixels_alone_tell_much_but_not_enough(drawn: dict[str, NDArray[np.uint8]]) -> None:
    """A linear classifier beats chance by far, and leaves work for a network."""
    bitmaps = np.stack([drawn[category] for category in DOODLES]).reshape(24, 300, 784) / 255
    labels = np.arange(24)[:, None].repeat(300, axis=1)
    pooled = bitmaps.reshape(24, 300, 14, 2, 14, 2).mean(axis=(3, 5)).reshape(24, 300, 196)
    model = LogisticRegression(C=0.3, max_iter=300, tol=1e-2)
    model.fit(pooled[:, :200].reshape(-1, 196), labels[:, :200].reshape(-1))
    accuracy = model.score(pooled[:, 200:].reshape(-1, 196), labels[:, 200:].reshape(-1))
    assert 0.4 < accuracy < 0.85


def test_the_contact_sheet_shows_every_drawing(
    tmp_path: Path, drawn: dict[str, NDArray[np.uint8]]
) -> None:
    chosen = {name: drawn[name][:5, ..., None] for name in ("cat", "wine glass", "yoga")}
    contact_sheet(chosen, tmp_path / "sheet.png", columns=4)
    with Image.open(tmp_path / "sheet.png") as sheet:
        grey = np.asarray(sheet.convert("L"))
    assert grey[0].min() == grey[:, 0].min() == 255  # white paper
    rows = grey[:, -(4 * 62 + 6) :]
    inked = [
        rows[6 + 62 * r : 62 * (r + 1), 62 * c : 62 * c + 56] for r in range(3) for c in range(4)
    ]
    assert len(inked) == 12
    assert all(tile.min() < 60 for tile in inked)
    assert grey[:, : -(4 * 62 + 6)].min() < 100  # the names


@pytest.mark.parametrize(("value", "shown"), [(230, 230), (20, 235)])
def test_grey_photographs_stay_and_white_strokes_become_ink(
    tmp_path: Path, value: int, shown: int
) -> None:
    contact_sheet({"cat": np.full((2, 20, 20, 1), value, np.uint8)}, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.getpixel((sheet.width - 26, sheet.height // 2)) == shown
