"""Drawings from real servers and folders: only the bytes needed, whole, or a clear refusal."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from numpy.lib import format as numpy_format

from quickspine import space
from quickspine.errors import NoSpaceError
from quickspine.sources import fetch as fetch_source
from quickspine.sources import mirror
from quickspine.sources.storage import npy
from tests.func.downloading import (
    BODY,
    LAYOUT,
    NAMES,
    RAW,
    ROWS,
    ask,
    drawings,
    fetch,
    google_file,
    make_mirror,
    put,
    refused,
)
from tests.mirror_server import Fault, MirrorServer

LOOKED = 128  # bytes that travel to see a header


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mirror's root, in a project of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_PROXY", "*")
    return make_mirror(tmp_path)


def cat(root: Path) -> Path:
    return root / LAYOUT / "cat.npy"


@pytest.mark.parametrize("inner", ["", "full", LAYOUT])
@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_folders_and_file_urls_in_all_layouts(root: Path, inner: str, form: str) -> None:
    place = form.format(str(root / inner).rstrip("/"))
    manifest = fetch(ask(place, NAMES, drawings_per_category=7))
    assert all(entry["url"].startswith(place) for entry in manifest["categories"])
    assert (manifest["synthetic"], manifest["licence"]) == (False, "CC BY 4.0")
    assert "Google" in manifest["attribution"]


@pytest.mark.parametrize(
    "rename",
    [
        lambda name: f"full_numpy_bitmap_{name}.npy",  # a browser, from Google's console
        lambda name: f"{quote(name)}.npy",  # curl -O
        lambda name: quote(f"{LAYOUT}/{name}.npy", safe=""),  # curl -O of the object's API
        lambda name: f"{name.replace(' ', '_').lower()}.npy",
    ],
)
def test_a_folder_of_files_as_downloads_name_them(root: Path, rename: object) -> None:
    assert callable(rename)
    for name in NAMES:
        cat(root).with_name(f"{name}.npy").rename(root / rename(name))
    shutil.rmtree(root / "full")
    manifest = fetch(ask(root, NAMES))
    assert [Path(entry["url"]).name for entry in manifest["categories"]] == list(map(rename, NAMES))
    put(root / "cat.npy", google_file(drawings("cat", 2)))  # Google's own name comes first
    refused(ask(root), "cat:", "2 drawings")


@pytest.mark.parametrize("form", ["folder", "web"])
def test_what_will_not_do_is_named_all_at_once(root: Path, form: str) -> None:
    put(cat(root).with_name("dog.npy"), google_file(drawings("dog", 5)))
    put(cat(root).with_name("key.npy"), google_file(drawings("key", 9)))
    with MirrorServer(root) as server:
        place, absent = (server.url, "HTTP 404") if form == "web" else (root, "no such file")
        data = ask(place, ("cat", "dog", "key", "tree"))
        text = refused(data, "3 of 4", "dog:", "key:", f"tree: {place}/{LAYOUT}/tree.npy: {absent}")
        assert len(server.asked("tree.npy")) <= 3  # no retries
    assert "5 drawings, 60 asked for; lower data.drawings_per_category to 5, or set" in text
    assert "data.drawings_per_category: 5 would do for all of them" in text
    assert "cat:" not in text


@pytest.mark.parametrize("inner", ["", "/flat", f"/{LAYOUT}"])
def test_only_the_bytes_needed_travel(root: Path, inner: str) -> None:
    if inner == "/flat":
        cat(root).parent.rename(root / "flat")
    with MirrorServer(root) as server:
        fetch(ask(server.url + inner, NAMES, drawings_per_category=20))
        probe = 1 if inner != "/flat" else len(b"not here") + 1
        assert server.bytes_sent == len(NAMES) * (LOOKED + 20 * npy.ROW) + probe
        assert len(server.requests) <= 2 * len(NAMES) + 2


@pytest.mark.parametrize("sized", [True, False])
def test_a_server_without_ranges_is_left_when_enough_came(root: Path, sized: bool) -> None:
    many = 20_000  # 16 MB, far more than all buffers on the way
    put(cat(root), google_file(np.vstack([drawings("cat"), np.zeros((many, npy.ROW), np.uint8)])))
    with MirrorServer(root, ranges=False, sized=sized) as server:
        fetch(ask(server.url))
    assert server.bytes_sent < many * npy.ROW // 2  # some of it fills buffers


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_headers_of_any_version_and_length(root: Path, version: tuple[int, int]) -> None:
    buffer = io.BytesIO()
    numpy_format.write_array(buffer, drawings("cat"), version=version)
    put(cat(root), buffer.getvalue())
    long = {"ice cream": 40, "t-shirt": 1500, "The Mona Lisa": 9000}  # bytes of padding
    for name, spaces in long.items():
        text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({ROWS}, 784)}}{' ' * spaces}\n"
        head = npy.MAGIC + b"\x01\x00" + len(text).to_bytes(2, "little") + text.encode()
        put(cat(root).with_name(f"{name}.npy"), head + drawings(name).tobytes())
    for rows, etags in ((1, False), (ROWS, True)):
        with MirrorServer(root, etags=etags) as server:
            fetch(ask(server.url, NAMES, drawings_per_category=rows))


def test_too_few_is_known_before_the_drawings_travel(root: Path) -> None:
    with MirrorServer(root) as server:
        data = ask(server.url, NAMES, drawings_per_category=ROWS + 1)
        refused(data, "4 of 4", f"lower data.drawings_per_category to {ROWS}", "allow_fewer: true")
        assert server.bytes_sent == len(NAMES) * LOOKED + 1


@pytest.mark.parametrize("form", ["folder", "web"])
def test_fewer_may_be_allowed_but_not_none(root: Path, form: str) -> None:
    with MirrorServer(root) as server:
        place = server.url if form == "web" else root
        fetch(ask(place, drawings_per_category=10**9, allow_fewer=True), rows=ROWS)
        put(cat(root), google_file(drawings("cat", 0)))
        for allow in (True, False):
            refused(ask(place, allow_fewer=allow), "cat:", "no drawings; take it out")


class Trap:
    """Creates a file when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (Path("trapped"),)


def pickled() -> bytes:
    array = np.empty((ROWS, npy.ROW), object)
    array[:] = Trap()
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


DAMAGED = {
    "truncated": (google_file(drawings("cat"))[:-1], "promises more drawings than its"),
    "in its header": (google_file(drawings("cat"))[:40], "inside its header"),
    "empty": (b"", ""),
    "lying a little": (google_file(drawings("cat"), rows=ROWS + 1), "promises more drawings"),
    "a page": (b"<!DOCTYPE html><html><body>Log in!</body></html>", "not a .npy file"),
    "a pickle": (pickled(), "pickled"),
}


@pytest.mark.parametrize("form", ["folder", "web", "plain web"])
@pytest.mark.parametrize("kind", list(DAMAGED))
def test_damaged_files_are_refused_and_a_pickle_never_runs(
    root: Path, form: str, kind: str
) -> None:
    content, problem = DAMAGED[kind]
    put(cat(root), content)
    with MirrorServer(root, ranges=form == "web") as server:
        refused(ask(root if form == "folder" else server.url), "cat: ", "cat.npy", problem)
    assert not Path("trapped").exists()


def test_redirects_are_followed_with_credentials_for_the_first_host_only(
    root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with MirrorServer(root) as server, MirrorServer(root) as front:
        target = f"{server.url}/{LAYOUT}/cat.npy".replace("127.0.0.1", "localhost")
        front.faults = [Fault("cat.npy", status=302, headers={"Location": target}, times=9)]
        place = front.url.replace("://", "://me:s3cret@") + "?token=hu5h"
        manifest = fetch(ask(place))
        assert server.asked("cat.npy")
        assert all("Authorization" in headers for headers in front.headers)
        assert not any("Authorization" in headers for headers in server.headers)
        text = refused(ask(place, ("cat", "dog")), "dog")
        told = text + repr(manifest) + "".join(capfd.readouterr())
    assert front.url in told
    assert not any(secret in told for secret in ("s3cret", "hu5h", "me:"))


def test_a_line_and_a_bar_tell_what_comes(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with MirrorServer(root) as server:
        fetch(ask(server.url, drawings_per_category=50))
    out, err = capfd.readouterr()
    assert out == ""
    first, *_, last = re.split(r"[\r\n]+", err.strip())
    assert first == f"fetch: 2 categories × 50 drawings = 0.1 MB from {server.url}"  # noqa: RUF001
    assert "100%" in last
    assert "78.4k/78.4k" in last


@pytest.mark.parametrize("form", ["folder", "web"])
@pytest.mark.parametrize("allow", [True, False])
def test_a_full_disk_is_known_before_the_drawings_travel(
    root: Path, monkeypatch: pytest.MonkeyPatch, form: str, allow: bool
) -> None:
    usage = shutil.disk_usage(root)._replace(free=space.RESERVE + 2 * BODY - 100)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with MirrorServer(root) as server:
        data = ask(server.url if form == "web" else root, allow_fewer=allow)
        with pytest.raises(NoSpaceError, match=r"8\.1 MB are needed .* data\.drawings_per_cat"):
            fetch_source(data, RAW)
        assert not RAW.exists()
        assert server.bytes_sent <= 2 * LOOKED + 1
        fetch(ask(data.mirror, drawings_per_category=ROWS - 1, allow_fewer=allow))


@pytest.mark.parametrize("honest", [True, False])
def test_a_whole_file_of_google_s_is_compared_with_what_was_published(
    root: Path, monkeypatch: pytest.MonkeyPatch, honest: bool
) -> None:
    content = cat(root).read_bytes()
    digest = hashlib.sha256(content if honest else b"other").hexdigest()
    monkeypatch.setattr(mirror, "_checksums", lambda: {"cat.npy": (len(content), digest)})
    with MirrorServer(root) as server:
        google, published = f"{server.url}/{LAYOUT}", mirror.published
        monkeypatch.setattr(mirror, "published", lambda url: published(url, google))
        fetch(ask(server.url, drawings_per_category=ROWS - 1))
        if honest:
            fetch(ask(server.url))
        else:
            refused(ask(server.url), "cat:", digest, hashlib.sha256(content).hexdigest())
