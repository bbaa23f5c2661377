"""The raw folder: images are read by row; whatever is not what was fetched is named."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quickspine.errors import InputError
from quickspine.parallel import GivenUpError
from quickspine.sources.storage import npy
from quickspine.sources.storage import raw as module
from quickspine.sources.storage.raw import CategoryFile, Raw
from tests.unit.dataset.conftest import MakeRaw, random_drawings

CATEGORIES = ("cat", "ice cream")
WAITED_FOR = threading.Event()  # never set


def check(raw: Raw) -> None:
    for file in raw.files:
        file.check(WAITED_FOR)


@pytest.fixture
def folder(make_raw: MakeRaw) -> Path:
    return make_raw({name: random_drawings(30, seed=len(name)) for name in CATEGORIES})


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


@pytest.mark.parametrize("together", [1, 7, 256])
@pytest.mark.parametrize("rows", [[], [0], [29], range(30), range(3, 8), [2, 3, 11, 29]])
def test_images_are_read_by_their_rows(
    folder: Path, monkeypatch: pytest.MonkeyPatch, rows: Sequence[int], together: int
) -> None:
    """Also where those between them are read too, and where they lie far apart."""
    monkeypatch.setattr(module, "TOGETHER", together)
    file = Raw(folder, CATEGORIES).files[1]
    expected = [row.tobytes() for row in np.load(folder / "ice cream.npy")[list(rows)]]
    for between in (0, 1, 100):
        monkeypatch.setattr(module, "BETWEEN", between)
        assert list(file.read(rows, WAITED_FOR)) == expected


def test_a_row_behind_the_end_is_named(folder: Path) -> None:
    file = Raw(folder, CATEGORIES).files[0]
    with pytest.raises(InputError, match=r"cat\.npy: it became shorter .*run: dvc repro -f fetch"):
        list(file.read([3, 30], WAITED_FOR))


def test_a_header_that_counts_otherwise_than_the_manifest_is_named(tmp_path: Path) -> None:
    """Though there are as many bytes as the manifest wants."""
    path = tmp_path / "cat.npy"
    path.write_bytes(npy.header(5) + bytes(6 * npy.ROW))
    with pytest.raises(InputError, match="5 images, where the manifest says 6"):
        list(CategoryFile("cat", path, 6, "", None, npy.ROW).read([0], WAITED_FOR))


def test_categories_are_taken_in_the_order_asked_for(folder: Path) -> None:
    raw = Raw(folder, ("ice cream", "cat"))
    assert next(raw.files[1].read([0], WAITED_FOR)) == np.load(folder / "cat.npy")[0].tobytes()
    assert (raw.rows, raw.shape) == ([30, 30], (8, 8, 1))
    assert raw.facts["attribution"] == "nobody"


def test_a_category_that_was_not_fetched_is_named(folder: Path) -> None:
    with pytest.raises(InputError, match=r"manifest\.json: lacks 'dog'; run: dvc repro"):
        Raw(folder, ("cat", "dog"))


def test_a_check_that_nobody_waits_for_ends(folder: Path) -> None:
    stop = threading.Event()
    stop.set()
    file = Raw(folder, CATEGORIES).files[0]
    with pytest.raises(GivenUpError):
        file.check(stop)
    with pytest.raises(GivenUpError):
        list(file.read([0], stop))


buffer = io.BytesIO()
np.save(buffer, random_drawings(30, seed=3))
GOOD = buffer.getvalue()


@pytest.mark.parametrize(
    "damaged",
    [
        None,
        b"",
        GOOD[:-1],
        GOOD[:100],
        GOOD + b"\0",
        GOOD[:-1] + bytes([GOOD[-1] ^ 1]),
        GOOD.replace(b"30, 64", b"64, 30"),
        b"PK\x03\x04 not an array",
    ],
)
def test_a_damaged_file_is_named(folder: Path, damaged: bytes | None) -> None:
    path = folder / "cat.npy"
    assert path.read_bytes() == GOOD
    path.unlink()
    if damaged is not None:
        path.write_bytes(damaged)
    with pytest.raises(InputError, match=r"cat\.npy: not the 30 images of 'cat'.*fetch"):
        check(Raw(folder, CATEGORIES))


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.pop("categories"),
        lambda m: m.pop("shape"),
        lambda m: m.pop("synthetic"),
        lambda m: m.update(categories=["cat", "ice cream"]),
        lambda m: m.update(categories={"cat": 1}),
        lambda m: m.update(shape=[8.5, 8, 1]),
        lambda m: m.update(shape=[-8, -8, 1]),
        lambda m: m.update(shape=[True, 8, 1]),
        lambda m: m.update(shape=[10**30, 8, 1]),
        lambda m: m.update(shape=[8, 8, 2]),
        lambda m: m.update(shape=[8, 8]),
        lambda m: m.update(encoding="zip"),
        lambda m: m["categories"][0].update(splits={"train": 31}),
        lambda m: m["categories"][0].update(splits={"train": 29, "rest": 1}),
        lambda m: m["categories"][0].update(splits=[30]),
        lambda m: m["categories"].pop(0),
        lambda m: m["categories"][0].pop("rows"),
        lambda m: m["categories"][0].pop("file"),
        lambda m: m["categories"][0].pop("sha256"),
        lambda m: m["categories"][0].update(rows=float("inf")),
    ],
)
def test_an_edited_manifest_is_named(
    folder: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    edit(folder, change)
    with pytest.raises(InputError, match=r"manifest\.json: .*run: dvc repro -f fetch"):
        Raw(folder, CATEGORIES)


STRANGE: list[Any] = [
    *(None, True, -1, 0, 29, 2**63, 10**30, 0.5, "", "x", "../x", "\0", "\ud800", "\x1b[2J"),
    *("x" * 10_000, "cat.npy", "ice cream", "0" * 64, [], {}, [0], ["cat"], [{}], {"a": 1}),
]


@pytest.mark.parametrize("value", STRANGE)
def test_any_edit_of_the_manifest_is_refused_or_harmless(folder: Path, value: Any) -> None:
    """In the place of each value: the images are those that were fetched, or it is named."""
    path = folder / "manifest.json"
    text = path.read_text()
    before = Raw(folder, CATEGORIES)
    types = {name: type(fact) for name, fact in before.facts.items()}
    expected = [list(file.read(range(30), WAITED_FOR)) for file in before.files]
    for of_category in (False, True):
        manifest = json.loads(text)
        changed = manifest["categories"][0] if of_category else manifest
        for key in list(changed):
            old, changed[key] = changed[key], value
            path.write_text(json.dumps(manifest))
            changed[key] = old
            try:
                raw = Raw(folder, CATEGORIES)
                check(raw)
            except InputError as error:
                message = str(error)
            else:
                assert [list(file.read(range(30), WAITED_FOR)) for file in raw.files] == expected
                assert {name: type(fact) for name, fact in raw.facts.items()} == types
                continue
            assert str(folder) in message
            assert message.isprintable()
            assert len(message) < 1500


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m["categories"][0].update(rows=29),
        lambda m: m["categories"][0].update(rows=10**30),
        lambda m: m["categories"][0].update(rows=-1),
        lambda m: m["categories"][0].update(sha256="0" * 64),
        lambda m: m["categories"][0].update(file="../cat.npy.old"),
        lambda m: m["categories"][0].update(file=".."),
        lambda m: m.update(shape=[9, 9, 1]),
    ],
)
def test_a_manifest_that_says_otherwise_than_the_file_names_the_file(
    folder: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    edit(folder, change)
    raw = Raw(folder, CATEGORIES)
    with pytest.raises(InputError, match="run: dvc repro -f fetch"):
        check(raw)


def test_a_manifest_cannot_point_outside_the_folder(folder: Path) -> None:
    (folder.parent / "outside.npy").write_bytes(GOOD)
    edit(folder, lambda m: m["categories"][0].update(file="../outside.npy"))
    with pytest.raises(InputError, match=f"{folder.name}/outside.npy: not the"):
        check(Raw(folder, CATEGORIES))


def test_no_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"manifest\.json: missing; run: dvc repro fetch"):
        Raw(tmp_path, CATEGORIES)
