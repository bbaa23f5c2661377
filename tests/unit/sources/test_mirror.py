"""Where a category's file lives, for each way to name a mirror."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quickspine import categories
from quickspine.errors import InputError
from quickspine.sources import mirror
from tests.unit.sources.conftest import Fetch

SOURCE = "quickdraw"
DEFAULT = "https://storage.googleapis.com/quickdraw_dataset"


def web(named: str) -> mirror.Web:
    place = mirror.parse(named)
    assert isinstance(place, mirror.Web)
    return place


@given(st.text(max_size=60))
def test_no_category_names_a_file_or_url_elsewhere(category: str) -> None:
    name = mirror.file_name(category)
    assert Path("folder", name).parent == Path("folder")
    assert name not in (".", "..")
    assert "\0" not in name
    last = mirror.Web("http://host/base").request_url(category).removeprefix("http://host/base/")
    assert last.endswith(".npy")
    assert not set(last) & set("/\\?#@: ")


def test_every_known_category_keeps_its_name_on_disk() -> None:
    for name in categories.quickdraw():
        assert mirror.file_name(name) == f"{name}.npy"


def test_google_s_layout_is_quoted_and_its_digests_are_for_its_own_files_only() -> None:
    place = web(DEFAULT).layouts()[0]
    url = place.url("The Mona Lisa")
    assert url == f"{mirror.GOOGLE}/The%20Mona%20Lisa.npy"
    size, sha256 = mirror.published(url) or (0, "")
    assert size == 95_164_352
    assert sha256.startswith("fb4e1174")
    for name in categories.quickdraw():
        assert mirror.published(place.url(name)) is not None
        assert mirror.published(mirror.Web("http://localhost/full/numpy_bitmap").url(name)) is None
    assert mirror.published(f"{mirror.GOOGLE}/no such thing.npy") is None
    assert mirror.published("https://storage.googleapis.com/another_bucket/cat.npy") is None


@pytest.mark.parametrize(
    ("named", "layouts"),
    [
        ("http://host", ["http://host/full/numpy_bitmap", "http://host"]),
        ("http://host/a/", ["http://host/a/full/numpy_bitmap", "http://host/a"]),
        ("http://host/numpy_bitmap/", ["http://host/numpy_bitmap"]),
        ("HTTP://Host:81/a", ["http://host:81/a/full/numpy_bitmap", "http://host:81/a"]),
        ("http://[::1]:81", ["http://[::1]:81/full/numpy_bitmap", "http://[::1]:81"]),
    ],
)
def test_a_web_mirror_may_name_the_root_or_the_folder(named: str, layouts: list[str]) -> None:
    assert [place.shown for place in web(named).layouts()] == layouts


def test_credentials_travel_but_are_never_shown() -> None:
    place = web("https://me:p%40ss@host/a?token=secret#part")
    assert place.auth == ("me", "p@ss")
    assert place.request_url("cat") == "https://host/a/cat.npy?token=secret"
    for text in (place.shown, place.url("cat")):
        assert not any(secret in text for secret in ("me:", "ss@", "secret"))


@pytest.mark.parametrize(
    "named",
    [
        "gs://quickdraw_dataset/full",
        "s3://key:secret@bucket",
        "ftp://me:secret@host/a",
        "http://me:secret@host:port/a",
        "http://me:secret@[::1/a",
        "https:///a?secret",
        "http:secret",
        "file://elsewhere/folder",
        "no/such/folder",
        "nul\0",
        "",
    ],
)
def test_what_names_no_mirror_is_refused(named: str) -> None:
    with pytest.raises(InputError, match=r"^data\.mirror: .*; give an http.*Received: ") as got:
        mirror.parse(named)
    assert "secret" not in str(got.value)


def test_a_folder_may_be_named_in_other_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "a mirror"))
    inner = tmp_path / "a mirror" / mirror.LAYOUT
    inner.mkdir(parents=True)
    root = (tmp_path / "a mirror").as_uri()
    for start in ("file:///", "file://localhost/", "file:/"):
        place = mirror.parse(root.replace("file:///", start))
        assert isinstance(place, mirror.Folder)
        assert place.path("ice cream") == inner / "ice cream.npy"
        assert place.url("ice cream").startswith(start)
    home = mirror.parse("~/")
    assert isinstance(home, mirror.Folder)
    assert home.folder == inner


def test_a_folder_without_drawings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="without drawings"):
        mirror.parse(str(tmp_path))
    (tmp_path / "cat.npy").touch()
    with pytest.raises(InputError, match="is a file; give an http"):
        mirror.parse(str(tmp_path / "cat.npy"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("CAT.NPY", b"", "no such file; 'CAT.NPY' is there: rename it to 'cat.npy'"),
        ("full_numpy_bitmap_cat (1).npy", b"", "'full_numpy_bitmap_cat (1).npy' is there: rename"),
        ("bat.npy", b"", "no such file; check data.mirror"),
        ("cat.npy", b"", "inside its header: an empty file; check data.mirror"),
        ("cat.npy", b"<!DOCTYPE html><html>", "not a .npy file but a web page (HTML); check data"),
    ],
)
def test_files_that_are_nearly_drawings_are_named(
    fetch: Fetch, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / name).write_bytes(content)
    asked = {"mirror": tmp_path / "mirror", "categories": ["cat", "dog"]}
    assert message in fetch.refused(**asked, drawings_per_category=1)
