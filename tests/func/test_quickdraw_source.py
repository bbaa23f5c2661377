"""Drawings from real servers and folders: only the bytes needed, whole, or a clear no."""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib import format as numpy_format

from quickspine import files, space
from quickspine.errors import InputError, NoSpaceError
from quickspine.params import Data
from quickspine.sources import Fetched, download, mirror, quickdraw, resume, wanted
from quickspine.sources import fetch as fetch_source
from quickspine.sources.partial import Partial
from quickspine.sources.storage import npy
from tests.mirror_server import Fault, MirrorServer

NAMES = ("cat", "The Mona Lisa", "t-shirt", "ice cream")
ROWS = 60
BODY = ROWS * npy.ROW


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project of its own, no proxy, no patience."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(download, "BACKOFF_S", 0.001)
    monkeypatch.setattr(download, "BACKOFF_CAP_S", 0.002)


def drawings(name: str, rows: int = ROWS) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4])
    return np.random.default_rng(seed).integers(0, 256, (rows, npy.ROW), np.uint8)


def google_file(array: np.ndarray, rows: int | None = None) -> bytes:
    """As Google's: a header of 80 bytes, as an old numpy wrote it; it may lie about the rows."""
    shape = (len(array) if rows is None else rows, npy.ROW)
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
    text += " " * (-(len(text) + 11) % 16) + "\n"
    return npy.MAGIC + bytes((1, 0, len(text), 0)) + text.encode() + array.tobytes()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A mirror's root, with the first category in its folder; files dated a minute ago."""
    folder = tmp_path / "mirror" / "full" / "numpy_bitmap"
    folder.mkdir(parents=True)
    for name in NAMES:
        put(folder / f"{name}.npy", google_file(drawings(name)))
    return tmp_path / "mirror"


def put(path: Path, content: bytes, age_s: int = 60) -> None:
    path.write_bytes(content)
    then = path.stat().st_mtime - age_s
    os.utime(path, (then, then))


def cat(root: Path) -> Path:
    return root / "full" / "numpy_bitmap" / "cat.npy"


def params(place: Path | str, names: tuple[str, ...] = ("cat", "ice cream"), **more: Any) -> Data:
    values = {"drawings_per_category": ROWS, "seed": 1, **more}
    return Data(source="quickdraw", categories=names, mirror=str(place), **values)


def fetch(data: Data) -> list[Fetched]:
    folder = Path("raw")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return quickdraw.fetch(data, folder).entries


def check(entries: list[Fetched], data: Data, rows: int | None = None) -> None:
    """The right drawings, in numpy's own format 1.0, described truly, and nothing else there."""
    rows = rows or data.limit
    assert [entry.category for entry in entries] == list(data.categories)
    assert {path.name for path in Path("raw").iterdir()} == {entry.file for entry in entries}
    for entry in entries:
        path = Path("raw", f"{entry.category}.npy")
        assert path.name == entry.file
        with path.open("rb") as file:
            assert numpy_format.read_magic(file) == (1, 0)
        array = np.load(path)
        assert (array.dtype, array.flags.c_contiguous) == (np.uint8, True)
        np.testing.assert_array_equal(array, drawings(entry.category)[:rows])
        assert (entry.rows, entry.bytes) == (rows, path.stat().st_size)
        assert entry.sha256 == files.sha256(path)
    assert not (files.STATE / "downloads").exists()


def refused(data: Data, *words: str) -> str:
    with pytest.raises(InputError) as got:
        fetch(data)
    for word in words:
        assert word in str(got.value)
    assert list(Path("raw").iterdir()) == []
    return str(got.value)


def refused_partly(data: Data, *words: str) -> None:
    """Refused as a whole, after some categories were copied: nothing of it is in data/raw."""
    with pytest.raises(InputError) as got:
        fetch_source(data, Path("data/raw"))
    for word in words:
        assert word in str(got.value)
    assert list(Path("data").iterdir()) == []


# Folders


@pytest.mark.parametrize("inner", ["", "full/numpy_bitmap"])
@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_folders_and_file_urls_in_both_layouts(root: Path, inner: str, form: str) -> None:
    place = form.format(str(root / inner).rstrip("/"))
    data = params(place, NAMES, drawings_per_category=7)
    entries = fetch(data)
    check(entries, data)
    assert all(entry.url.startswith(place) for entry in entries)


def test_a_folder_refuses_what_will_not_do_all_at_once(root: Path) -> None:
    folder = cat(root).parent
    put(folder / "dog.npy", google_file(drawings("dog", 5)))
    put(folder / "key.npy", google_file(drawings("key", 9)))
    data = params(root, ("cat", "dog", "key", "tree"))
    text = refused(
        data, "3 of 4", "dog:", "key:", "tree:", str(folder / "tree.npy"), "no such file"
    )
    assert "5 drawings, 60 asked for; lower data.drawings_per_category to 5, or set" in text
    assert "data.drawings_per_category: 5 would do for all of them" in text
    assert "cat:" not in text


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda path: path.unlink(), "cannot be read (No such file"),
        (lambda path: os.truncate(path, 20_000), "it became shorter while it was read"),
    ],
)
def test_a_folder_that_changes_while_it_is_read_is_named(
    root: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path], None], problem: str
) -> None:
    look = wanted.look

    def looked(path: Path, judge: Any) -> resume.Take:
        take = look(path, judge)
        if path.name == "cat.npy":
            spoil(path)
        return take

    monkeypatch.setattr(quickdraw, "look", looked)
    refused_partly(params(root), "cat: ", str(cat(root)), problem, "check data.mirror")


# Web mirrors


@pytest.mark.parametrize("inner", ["", "/full", "/full/numpy_bitmap"])
def test_only_the_bytes_needed_travel(root: Path, inner: str) -> None:
    if inner == "/full":
        cat(root).parent.rename(root / "flat")
        (root / "full").rmdir()
        inner = "/flat"
    with MirrorServer(root) as server:
        data = params(server.url + inner, NAMES, drawings_per_category=20)
        check(fetch(data), data)
        probe = 1 if inner != "/flat" else len(b"not here") + 1
        assert server.bytes_sent == len(NAMES) * (80 + 20 * npy.ROW) + probe


def test_the_whole_of_a_file_may_be_asked_for(root: Path) -> None:
    with MirrorServer(root) as server:
        data = params(server.url)
        check(fetch(data), data)
        assert server.bytes_sent == 2 * (80 + BODY) + 1


@pytest.mark.parametrize("sized", [True, False])
def test_a_server_without_ranges_is_left_when_enough_came(root: Path, sized: bool) -> None:
    many = 20_000  # 16 MB, far more than all buffers on the way
    put(cat(root), google_file(np.vstack([drawings("cat"), np.zeros((many, npy.ROW), np.uint8)])))
    with MirrorServer(root, ranges=False, sized=sized) as server:
        data = params(server.url)
        check(fetch(data), data)
    assert server.bytes_sent < 4_000_000 < many * npy.ROW // 3  # some of it fills buffers


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("etags", [True, False])
def test_headers_of_any_version_and_length(
    root: Path, version: tuple[int, int], etags: bool
) -> None:
    buffer = io.BytesIO()
    numpy_format.write_array(buffer, drawings("cat"), version=version)
    put(cat(root), buffer.getvalue())
    long = {"ice cream": 40, "t-shirt": 1500, "The Mona Lisa": 9000}  # bytes of padding
    for name, spaces in long.items():
        text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({ROWS}, 784)}}{' ' * spaces}\n"
        head = npy.MAGIC + b"\x01\x00" + len(text).to_bytes(2, "little") + text.encode()
        put(cat(root).with_name(f"{name}.npy"), head + drawings(name).tobytes())
    for rows in (1, ROWS):
        with MirrorServer(root, etags=etags, dated=False) as server:
            data = params(server.url, NAMES, drawings_per_category=rows)
            check(fetch(data), data)


def test_two_drawings_of_two_thousand_are_two_drawings(root: Path) -> None:
    put(cat(root), google_file(drawings("cat", 2000)))
    with MirrorServer(root) as server:
        fetch(params(server.url, ("cat", "t-shirt"), drawings_per_category=2))
        assert server.bytes_sent == 2 * (80 + 2 * npy.ROW) + 1


def test_too_few_is_known_before_the_drawings_travel(root: Path) -> None:
    with MirrorServer(root) as server:
        data = params(server.url, NAMES, drawings_per_category=ROWS + 1)
        refused(data, "4 of 4", f"lower data.drawings_per_category to {ROWS}", "allow_fewer: true")
        assert server.bytes_sent == len(NAMES) * resume.FIRST + 1


@pytest.mark.parametrize("form", ["folder", "web"])
def test_fewer_may_be_allowed(root: Path, form: str) -> None:
    with MirrorServer(root) as server:
        place = server.url if form == "web" else root
        data = params(place, drawings_per_category=10**9, allow_fewer=True)
        check(fetch(data), data, rows=ROWS)


@pytest.mark.parametrize("form", ["folder", "web"])
@pytest.mark.parametrize("allow", [True, False])
def test_a_category_without_drawings_is_refused(root: Path, form: str, allow: bool) -> None:
    put(cat(root), google_file(drawings("cat", 0)))
    with MirrorServer(root) as server:
        place = server.url if form == "web" else root
        refused(params(place, allow_fewer=allow), "cat:", "no drawings; take it out")


def test_missing_categories_are_named_together(root: Path) -> None:
    with MirrorServer(root) as server:
        names = ("dog", "cat", "key", "t-shirt")
        text = refused(params(server.url, names), "2 of 4", "dog:", "key:", "HTTP 404")
        assert f"{server.url}/full/numpy_bitmap/dog.npy" in text
        assert len(server.asked("dog.npy")) <= 3  # no retries
        server.faults, server.requests[:] = [Fault("cat.npy", status=403, times=9)], []
        refused(params(server.url), "cat: ", "HTTP 403", "data.mirror")
        # Two looks for the layout, then the drawings: the header is known from the first try.
        assert server.asked("cat.npy") == ["bytes=0-0", "bytes=0-0", f"bytes=128-{79 + BODY}"]


DAMAGED = {
    "truncated": (google_file(drawings("cat"))[:-1], "promises more drawings than its"),
    "in its header": (google_file(drawings("cat"))[:40], "inside its header"),
    "empty": (b"", ""),
    "lying": (google_file(drawings("cat"), rows=2**62), "promises more drawings than its"),
    "lying a little": (google_file(drawings("cat"), rows=ROWS + 1), "promises more drawings"),
    "a page": (b"<!DOCTYPE html><html><body>Log in!</body></html>", "not a .npy file"),
    "float": (google_file(drawings("cat")).replace(b"|u1", b"<f8"), "uint8"),
    "Fortran": (google_file(drawings("cat")).replace(b"False", b"True "), "Fortran"),
}


@pytest.mark.parametrize("form", ["folder", "web", "plain web"])
@pytest.mark.parametrize("kind", list(DAMAGED))
def test_damaged_files_are_refused(root: Path, form: str, kind: str) -> None:
    content, problem = DAMAGED[kind]
    put(cat(root), content)
    with MirrorServer(root, ranges=form == "web") as server:
        place = root if form == "folder" else server.url
        refused(params(place), "cat: ", "cat.npy", problem)


def test_a_cut_off_file_of_unknown_size_is_refused(root: Path) -> None:
    put(cat(root), DAMAGED["truncated"][0])
    with MirrorServer(root, ranges=False, sized=False) as server:
        refused(params(server.url), "cat: ", "ends early")


class Trap:
    """Creates a file when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (Path("trapped"),)


@pytest.mark.parametrize("form", ["folder", "web"])
def test_a_pickle_is_refused_and_never_runs(root: Path, form: str) -> None:
    array = np.empty((ROWS, npy.ROW), object)
    array[:] = Trap()
    np.save(cat(root), array, allow_pickle=True)
    with MirrorServer(root) as server:
        refused(params(server.url if form == "web" else root), "cat:", "pickled")
    assert not Path("trapped").exists()


# Interruptions


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("validator", ["etag", "date"])
def test_a_broken_transfer_goes_on_where_it_broke(root: Path, reset: bool, validator: str) -> None:
    with MirrorServer(root, etags=validator == "etag") as server:
        server.faults = [Fault("cat.npy", cut_after=20_000, reset=reset, longer_than=1000)]
        data = params(server.url)
        check(fetch(data), data)
        end = 80 + BODY - 1
        *_, first, second = server.asked("cat.npy")
        assert first == f"bytes=128-{end}"
        assert second == f"bytes={128 + 20_000}-{end}"
        assert server.bytes_sent == 2 * (80 + BODY) + 1
        assert any("If-Range" in headers for headers in server.headers)


def test_the_next_try_asks_only_for_the_rest(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    with MirrorServer(root) as server:
        server.faults = [Fault("cat.npy", cut_after=20_000, longer_than=1000)]
        data = params(server.url)
        refused(data, "cat:", "run it again (what came so far is kept)")
        sent, server.requests[:] = server.bytes_sent, []
        check(fetch(data), data)
        end = 80 + BODY - 1
        assert server.asked("cat.npy")[-1] == f"bytes={128 + 20_000}-{end}"
        assert server.asked("ice cream.npy") == [f"bytes={end}-{end}"]
        # The whole category is asked for one byte, to hear whether it is still the same.
        assert server.bytes_sent - sent == BODY + 80 - 128 - 20_000 + 1 + 1


def test_what_came_serves_another_number_of_drawings(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    with MirrorServer(root) as server:
        for rows in (10, 30, 20):
            server.faults = [Fault("cat.npy", cut_after=0, longer_than=1000)]
            data = params(server.url, drawings_per_category=rows)
            refused(data, "cat:")
        check(fetch(data), data)


@pytest.mark.parametrize("if_range", [True, False])
@pytest.mark.parametrize("again", ["within a try", "in the next try"])
def test_two_versions_are_never_mixed(
    root: Path, monkeypatch: pytest.MonkeyPatch, if_range: bool, again: str
) -> None:
    old = google_file(drawings("another"))
    put(cat(root), old)
    monkeypatch.setattr(download, "ATTEMPTS", 1 if again == "in the next try" else 5)
    with MirrorServer(root, if_range=if_range) as server:
        data = params(server.url)
        server.faults = [Fault("cat.npy", cut_after=20_000, longer_than=1000)]
        if again == "in the next try":
            refused(data, "cat:")
            put(cat(root), google_file(drawings("cat")))
            monkeypatch.setattr(download, "ATTEMPTS", 5)
        else:
            patience = download._patience

            def change(state: Any) -> float:
                put(cat(root), google_file(drawings("cat")))
                return patience(state)

            monkeypatch.setattr(download, "_patience", change)
        check(fetch(data), data)
        assert f"bytes={128 + 20_000}-{79 + BODY}" in server.asked("cat.npy")


def test_a_file_dated_this_second_is_not_resumed_by_its_date(root: Path) -> None:
    put(cat(root), google_file(drawings("cat")), age_s=-30)
    with MirrorServer(root, etags=False) as server:
        server.faults = [Fault("cat.npy", cut_after=20_000, longer_than=1000)]
        data = params(server.url)
        check(fetch(data), data)
        end = 80 + BODY - 1
        assert server.asked("cat.npy")[-2:] == [f"bytes=0-{end}"] * 2


def test_a_server_without_validators_is_asked_anew(root: Path) -> None:
    with MirrorServer(root, etags=False, dated=False) as server:
        server.faults = [Fault("cat.npy", cut_after=20_000, longer_than=1000)]
        data = params(server.url)
        check(fetch(data), data)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_server_in_trouble_is_asked_again(root: Path, status: int) -> None:
    with MirrorServer(root) as server:
        server.faults = [Fault(status=status, times=4, headers={"Retry-After": "0"})]
        data = params(server.url)
        check(fetch(data), data)


def test_a_server_in_trouble_for_good_is_left(root: Path) -> None:
    with MirrorServer(root) as server:
        server.faults = [Fault("cat.npy", status=503, times=10**6)]
        refused(params(server.url), "cat: ", "HTTP 503", "run it again")
        assert len(server.asked("cat.npy")) == 2 * download.ATTEMPTS


def test_a_server_s_wish_for_patience_is_heard_up_to_a_cap(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    patience = download._patience

    def noted(state: Any) -> float:
        waits.append(patience(state))
        return 0

    monkeypatch.setattr(download, "_patience", noted)
    date = "Fri, 01 Jan 2100 00:00:00 GMT"
    with MirrorServer(root) as server:
        for wish in ("7", "99999", date, "soon", "Fri, 01 Jan 1990 00:00:00 GMT"):
            server.faults.append(Fault(status=429, headers={"Retry-After": wish}))
        monkeypatch.setattr(download, "ATTEMPTS", 6)
        fetch(params(server.url))
    assert waits[:3] == [7, download.RETRY_AFTER_CAP_S, download.RETRY_AFTER_CAP_S]
    assert all(wait < 1 for wait in waits[3:])
    assert len(waits) == 5


def test_a_silent_server_is_not_waited_for_long(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "READ_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"http://127.0.0.1:{mute.getsockname()[1]}"
        refused(params(address), "data.mirror: no answer from", address, "ReadTimeout")
    refused(params(address), "data.mirror: no answer from", address, "ConnectError")


def test_redirects_are_followed_to_web_places_only(root: Path) -> None:
    with MirrorServer(root) as server, MirrorServer(root) as front:
        target = f"{server.url}/full/numpy_bitmap/cat.npy"
        front.faults = [Fault("cat.npy", status=302, headers={"Location": target}, times=9)]
        data = params(front.url)
        check(fetch(data), data)
        assert server.asked("cat.npy")
    for target in (cat(root).as_uri(), "ftp://127.0.0.1/cat.npy", "/full/numpy_bitmap/cat.npy"):
        with MirrorServer(root) as front:
            front.faults = [Fault("cat.npy", status=302, headers={"Location": target}, times=99)]
            refused(params(f"{front.url}/full/numpy_bitmap"), "redirect")


def test_compressed_answers_are_refused(root: Path) -> None:
    with MirrorServer(root) as server:
        gzip = {"Content-Encoding": "gzip"}
        server.faults = [Fault("cat.npy", status=200, headers=gzip, body=b"\x1f\x8b", times=99)]
        refused(params(server.url, ("ice cream", "cat")), "cat:", "compressed (gzip)")


@pytest.mark.parametrize(
    "place",
    ["bytes 5-9/99", "bytes 0-127", "bytes 0-/99", "bytes 0-x/99", "pages 0-127/99", "", "junk"],
)
def test_another_range_than_asked_for_is_never_taken(root: Path, place: str) -> None:
    with MirrorServer(root) as server:
        headers = {"Content-Range": place}
        server.faults = [Fault("cat.npy", status=206, headers=headers, body=b"x" * 9, times=99)]
        refused(params(server.url, ("ice cream", "cat")), "cat:")


# The rest


def test_credentials_reach_the_server_and_nobody_else(
    root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with MirrorServer(root) as server:
        place = server.url.replace("://", "://me:s3cret@") + "?token=hu5h"
        entries = fetch(params(place))
        assert all("Authorization" in headers for headers in server.headers)
        text = refused(params(place, ("cat", "dog")), "dog")
        told = text + repr(entries) + "".join(capfd.readouterr())
    assert server.url in told
    assert not any(secret in told for secret in ("s3cret", "hu5h", "me:"))


def test_a_line_and_a_bar_tell_what_comes(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with MirrorServer(root) as server:
        fetch(params(server.url, drawings_per_category=50))
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
        data = params(server.url if form == "web" else root, allow_fewer=allow)
        with pytest.raises(NoSpaceError, match=r"8\.1 MB are needed .* data\.drawings_per_cat"):
            fetch(data)
        assert list(Path("raw").iterdir()) == []
        assert server.bytes_sent <= 2 * resume.FIRST + 1
        fetch(params(data.mirror, drawings_per_category=ROWS - 1, allow_fewer=allow))


def test_a_fault_of_our_own_stops_all_and_is_not_hidden(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Partial, "begin", full)
    with (
        MirrorServer(root) as server,
        pytest.raises(NoSpaceError, match=r"downloads: No space left.*came so far is kept"),
    ):
        fetch(params(server.url, NAMES))


def test_a_damaged_note_of_an_earlier_try_is_not_believed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    with MirrorServer(root) as server:
        data = params(server.url)
        for text in ("", "[]", "{}", '{"version": {"x": 1}, "head": ""}', "\0"):
            server.faults = [Fault("cat.npy", cut_after=20_000, longer_than=1000)]
            refused(data, "cat:")
            notes = list((files.STATE / "downloads").glob("cat.npy*.json"))
            assert len(notes) == 1
            notes[0].write_text(text, encoding="utf-8")
        check(fetch(data), data)


@pytest.mark.parametrize("honest", [True, False])
def test_a_whole_file_of_google_s_is_compared_with_what_was_published(
    root: Path, monkeypatch: pytest.MonkeyPatch, honest: bool
) -> None:
    content = cat(root).read_bytes()
    digest = hashlib.sha256(content if honest else b"other").hexdigest()
    known = mirror.Published(len(content), digest)
    monkeypatch.setattr(mirror, "_checksums", lambda: {"cat.npy": known})
    with MirrorServer(root) as server:
        google = f"{server.url}/full/numpy_bitmap"
        published = mirror.published
        monkeypatch.setattr(mirror, "published", lambda url: published(url, google))
        part = params(server.url, drawings_per_category=ROWS - 1)
        check(fetch(part), part)
        whole = params(server.url)
        if honest:
            check(fetch(whole), whole)
        else:
            refused(whole, "cat:", digest, hashlib.sha256(content).hexdigest())


def test_the_manifest_says_whose_drawings_these_are(root: Path) -> None:
    manifest = fetch_source(params(root), Path("data/raw"))
    assert (manifest["synthetic"], manifest["licence"]) == (False, "CC BY 4.0")
    assert "Google" in manifest["attribution"]
    assert [entry["rows"] for entry in manifest["categories"]] == [ROWS, ROWS]


REAL = os.environ.get("QUICKDRAW_MIRROR", "")
needs_real = pytest.mark.skipif(not REAL, reason="QUICKDRAW_MIRROR names no folder of drawings")


@needs_real
@pytest.mark.parametrize("form", ["folder", "web", "plain web"])
def test_real_drawings(form: str) -> None:
    known = {path.stem: path for path in Path(REAL).glob("*.npy")}
    names = tuple(sorted(known))[:12] + tuple(sorted(name for name in known if not name.isalpha()))
    names = tuple(dict.fromkeys(names))
    rows = 300
    with MirrorServer(Path(REAL), ranges=form == "web") as server:
        data = params(REAL if form == "folder" else server.url, names, drawings_per_category=rows)
        for entry in fetch(data):
            array = np.load(Path("raw", entry.file))
            original = np.load(known[entry.category], mmap_mode="r")
            np.testing.assert_array_equal(array, original[:rows])
        if form == "web":
            misses = len(b"not here") * 1 + 1  # the look for Google's layout
            assert server.bytes_sent == len(names) * (80 + rows * npy.ROW) + misses
