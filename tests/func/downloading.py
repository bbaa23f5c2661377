"""A mirror of a few small categories, and what a fetch from it must leave."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib import format as numpy_format
from numpy.typing import NDArray

from quickspine import files, sources
from quickspine.errors import InputError
from quickspine.params import Data
from quickspine.sources.storage import npy

LAYOUT = "full/numpy_bitmap"
NAMES = ("ice cream", "cat", "The Mona Lisa", "t-shirt")
ROWS = 60
BODY = ROWS * npy.ROW
HEADER = 80  # bytes, as in Google's files
LOOK = "bytes=0-127"  # the request that sees a header
RAW = Path("data/raw")


def drawings(name: str, rows: int = ROWS) -> NDArray[np.uint8]:
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4])
    return np.random.default_rng(seed).integers(0, 256, (rows, npy.ROW), np.uint8)


def google_file(array: NDArray[Any], rows: int | None = None) -> bytes:
    """As Google's: a header of 80 bytes, as an old numpy wrote it; it may lie about the rows."""
    shape = (len(array) if rows is None else rows, npy.ROW)
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
    text += " " * (-(len(text) + 11) % 16) + "\n"
    return npy.MAGIC + bytes((1, 0, len(text), 0)) + text.encode() + array.tobytes()


def put(path: Path, content: bytes) -> None:
    """Write a file that is a minute old."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    then = path.stat().st_mtime - 60
    os.utime(path, (then, then))


def make_mirror(folder: Path, names: Sequence[str] = NAMES) -> Path:
    """The root of a mirror."""
    for name in names:
        put(folder / "mirror" / LAYOUT / f"{name}.npy", google_file(drawings(name)))
    return folder / "mirror"


def ask(place: Path | str, names: Sequence[str] = ("ice cream", "cat"), **more: Any) -> Data:
    """Params for a fetch; the first category is the one that the layout is found by."""
    values = {"drawings_per_category": ROWS, "seed": 1, **more}
    return Data(source="quickdraw", categories=tuple(names), mirror=str(place), **values)


def fetch(data: Data, rows: int | None = None) -> dict[str, Any]:
    """The manifest of a fetch that brought the right drawings, and left nothing half-made."""
    manifest = sources.fetch(data, RAW)
    check(manifest, {name: [drawings(name)] for name in data.categories}, rows or data.limit)
    return manifest


def check(
    manifest: dict[str, Any], versions: Mapping[str, list[NDArray[np.uint8]]], rows: int
) -> None:
    """The right drawings of one version of each file, in numpy's own format, truly described."""
    entries = manifest["categories"]
    assert [entry["category"] for entry in entries] == list(versions)
    assert {path.name for path in RAW.iterdir()} == {
        "manifest.json",
        *(entry["file"] for entry in entries),
    }
    for entry in entries:
        path = RAW / f"{entry['category']}.npy"
        assert path.name == entry["file"]
        with path.open("rb") as file:
            assert numpy_format.read_magic(file) == (1, 0)
        array = np.load(path)
        assert (array.dtype, array.flags.c_contiguous) == (np.uint8, True)
        known = versions[entry["category"]]
        assert any(np.array_equal(array, one[:rows]) for one in known), entry["category"]
        assert (entry["rows"], entry["bytes"]) == (rows, path.stat().st_size)
        assert entry["sha256"] == files.sha256(path)
    assert not (files.STATE / "downloads").exists()


def refused(data: Data, *words: str) -> str:
    """The message of a fetch that leaves everything as it was."""
    before = RAW.exists()
    with pytest.raises(InputError) as got:
        sources.fetch(data, RAW)
    for word in words:
        assert word in str(got.value)
    assert RAW.exists() == before
    assert not list(Path().rglob(".partial-*"))
    return str(got.value)
