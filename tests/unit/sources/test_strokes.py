"""Strokes of ndjson files become Google's own bitmaps, at any size; little travels for it."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quickspine.sources import strokes
from quickspine.sources.rasteriser import rasterise
from quickspine.sources.strokes import ndjson
from quickspine.sources.strokes.ndjson import LineError, parse
from tests.mirror_server import Fault, MirrorServer
from tests.unit.sources.conftest import Fetch, names

SOURCE = "strokes"

# Two drawings of The Quick, Draw! Dataset (Google, CC BY 4.0), as full/simplified has them, and
# Google's own bitmaps of them, as full/numpy_bitmap has them.
CAT = [
    [[3, 0, 7, 17, 41, 65, 79, 84, 91, 88, 84], [207, 103, 59, 39, 12, 0, 3, 12, 43, 253, 255]],
    [[8, 27, 58, 86], [48, 49, 56, 57]],
]
APPLE = [
    [[121, 107, 45, 17, 1, 0, 4, 21, 58, 118, 173, 197, 209, 224, 244, 254, 254, 209, 164, 124],
     [47, 57, 56, 75, 93, 114, 123, 140, 162, 187, 196, 187, 177, 164, 136, 115, 101, 83, 71, 43]],
    [[123, 126], [43, 0]],
]  # fmt: skip
CAT_BITMAP = (
    b"c-muNAQrI4MT%jUVa#~^|NlJ>ta7dYciH;=55Xpt_J1k^1Jj2-EK+WNRx$ypohLA*r2hSXyRA0ZWz}m;IqUzcCZ7"
    b"KN|NsAwm~uJ)g&7#Qw2aq0#gv=!0z%Jth$**sKZKrr7gO%>3<y2{7N*>bi4c16HB7mOP<_iTVanZ_5206`!<4(U9"
    b"73-<jVX6}9faO^98>P_HVD1-Fs9s|y%2im0Zh3qN1$r<V9KpM1ECM>z?AFT3AJ}CmbhhxP{%jnPHLyu;+8wN3a6C"
    b"hw*@%mSkfejO633?5Kg}"
)
APPLE_BITMAP = (
    b"c-muN7(h@Lja%;CEZlM*I&exc|0~BSr}%#vBZi>*q?t21Iy&zE`@cgHRfZ}5+sC^v-@SWx&M5KIn{XB+DfVsuSBb"
    b"!lJ@WtKh8#7Rt`&dck=^4x;mZI2r&D=A9N+&r=+;Z7o&5i4h8P1w@_$h*PBxhNKbL_a<-Zy>|H%K(WMB~ea2cD%{"
    b"_h~)Sbn@=iy@`;Z5o(1z4dPinwQxxJQ0SnD!+W{Rz{LyoblHQ&XJw}{qHs(CMb_%+5b9ZQ$)(||G(E1qQ%O<XnpK"
    b"Y9-8$`zT1BO|NraSo&RsWu{fMnGq`5?nh1^oN|FHcqg%o"
)
REFERENCES = [("cat", CAT, CAT_BITMAP), ("apple", APPLE, APPLE_BITMAP)]


def line(word: str, drawing: Any, recognised: bool = True) -> bytes:
    value = {"word": word, "recognized": recognised, "key_id": "1", "drawing": drawing}
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def mirror(root: Path, files: dict[str, bytes], kind: str = "simplified") -> Path:
    folder = root / "full" / kind
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / f"{name}.ndjson").write_bytes(content)
    return root


BOTH = {"categories": ("cat", "apple"), "drawings_per_category": 1}


def various(word: str, count: int) -> bytes:
    """Lines of `count` different drawings, some recognised."""
    shapes = ([[[0, 255 - n], [0, n]], [[n], [255]]] for n in range(count))
    return b"".join(line(word, shape, n % 2 == 0) for n, shape in enumerate(shapes))


def test_it_draws_what_google_drew(fetch: Fetch, tmp_path: Path) -> None:
    files = {name: line(name, drawing) for name, drawing, _ in REFERENCES}
    manifest = fetch(mirror=mirror(tmp_path, files), **BOTH)
    assert (manifest["shape"], manifest["encoding"]) == ([28, 28, 1], "raw")
    assert names(manifest) == ["cat", "apple"]
    for entry, (name, _, packed) in zip(manifest["categories"], REFERENCES, strict=True):
        assert entry["url"] == f"{tmp_path}/full/simplified/{name}.ndjson"
        google = np.frombuffer(zlib.decompress(base64.b85decode(packed)), dtype=np.uint8)
        ours = fetch.images(manifest, name).reshape(-1)
        assert np.abs(ours.astype(int) - google).mean() < 1, name
        assert np.corrcoef(ours, google)[0, 1] > 0.998, name


@pytest.mark.parametrize("side", [28, 64])
def test_a_raw_drawing_is_scaled_as_the_simplified_one_was(
    fetch: Fetch, tmp_path: Path, side: int
) -> None:
    def device(drawing: list[Any]) -> list[Any]:
        # On a phone, three times as large and elsewhere, with a time for each point
        return [
            [[3.0 * x + 41.5 for x in xs], [3.0 * y + 1007.25 for y in ys], list(range(len(xs)))]
            for xs, ys in drawing
        ]

    raw = {name: line(name, device(drawing)) for name, drawing, _ in REFERENCES}
    place = mirror(tmp_path, raw, "raw")
    manifest = fetch(mirror=place, strokes="raw", image_size=side, **BOTH)
    for name, drawing, _ in REFERENCES:
        points = [np.array(stroke, dtype=float).T for stroke in drawing]
        longest = max(np.ptp(np.concatenate(points), axis=0))
        (same,) = rasterise([[stroke * (255 / longest) for stroke in points]], side)
        difference = np.abs(fetch.images(manifest, name)[0, ..., 0].astype(int) - same)
        assert difference.max() <= 1, "the sums round differently"


def test_only_the_first_lines_travel_and_a_fault_passes(fetch: Fetch, tmp_path: Path) -> None:
    root = mirror(tmp_path, {name: various(name, 250) * 40 for name in ("cat", "apple")})
    size = sum(file.stat().st_size for file in root.rglob("*.ndjson"))
    asked = {**BOTH, "drawings_per_category": 300}
    here = fetch(mirror=root, **asked)
    assert fetch.images(here, "apple").shape == (300, 28, 28, 1)
    different = np.unique(fetch.images(here, "cat"), axis=0)
    assert len(different) == 250, "recognised or not"
    digests = [entry["sha256"] for entry in here["categories"]]
    for ranges in (True, False):
        with MirrorServer(root, ranges=ranges) as server:
            there = fetch(mirror=server.url, **asked)
            assert [entry["sha256"] for entry in there["categories"]] == digests
            assert there["categories"][1]["url"] == f"{server.url}/full/simplified/apple.ndjson"
            assert not ranges or server.bytes_sent < size / 8
    with MirrorServer(root) as server:
        server.faults.append(Fault("cat", status=503, longer_than=1000))
        server.faults.append(Fault("apple", cut_after=5000, longer_than=1000))
        there = fetch(mirror=server.url, **asked)
        assert [fault.times for fault in server.faults] == [0, 0], "each was met"
    assert [entry["sha256"] for entry in there["categories"]] == digests


def test_processes_give_the_same_bytes(
    fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = mirror(tmp_path, {name: various(name, 200) for name in ("cat", "apple")})
    asked = {**BOTH, "drawings_per_category": 200, "image_size": 40}
    alone = fetch(mirror=root, **asked)
    monkeypatch.setattr(strokes, "_ALONE", 1)
    assert fetch(mirror=root, **asked) == alone


@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        (b'{"word": "cat"\n', "line 3: not a drawing .Invalid JSON"),
        (b"[" * 100_000 + b"\n", "line 3: not a drawing .Invalid JSON"),
        (b"[1, 2]\n", "line 3: not a drawing .Input should be an object"),
        (b'{"word": "cat"}\n', "line 3: not a drawing .drawing: Field required"),
        (line("dog", CAT), "line 3: a drawing of 'dog' rather than 'cat'"),
        (line("cat", [[[1, 2]]]), "line 3: not a drawing .drawing.0: List should have at least 2"),
        (line("cat", [[[1, 2], [1]]]), "line 3: a stroke with 2 x and 1 y"),
        (line("cat", [[[1, "2"], [1, 2]]]), r"line 3: not a drawing .drawing\.0\.0\.1: "),
        (line("cat", [[[1, True], [1, 2]]]), r"line 3: not a drawing .drawing\.0\.0\.1: "),
        (line("cat", [[[1, float("nan")], [1, 2]]]), r"line 3: not a drawing .drawing\.0\.0\.1"),
        (line("cat", [[[1, 10**400], [1, 2]]]), r"line 3: not a drawing .drawing\.0\.0\.1: "),
        (line("cat", [[[1, 300], [1, 2]]]), "line 3: coordinates from 1 to 300; a simplified"),
        (b"", r"2 drawings, 3 asked for; lower data\.drawings_per_category to 2"),
    ],
)
def test_what_is_no_drawing_is_named_by_its_line(
    fetch: Fetch, tmp_path: Path, damaged: bytes, message: str
) -> None:
    files = {"cat": line("cat", CAT) * 2 + damaged, "apple": line("apple", APPLE) * 3}
    root = mirror(tmp_path, files)
    text = fetch.refused(mirror=root, **{**BOTH, "drawings_per_category": 3})
    assert re.search(rf"^cat: .*simplified/cat\.ndjson: {message}", text)
    # Nobody reads further than what was asked for.
    two = fetch(mirror=root, **{**BOTH, "drawings_per_category": 2})
    assert two["categories"][0]["rows"] == 2


def test_drawings_without_a_point_are_passed_over(
    fetch: Fetch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    empty = line("cat", []) + line("cat", [[[], []]]) + b"\n"
    files = {"cat": empty + line("cat", CAT), "apple": line("apple", APPLE).rstrip(b"\n")}
    root = mirror(tmp_path, files)
    manifest = fetch(mirror=root, **BOTH)
    assert fetch.images(manifest, "cat").any()
    assert "2 drawings without a point passed over" in capfd.readouterr().err
    fewer = fetch(mirror=root, **{**BOTH, "drawings_per_category": 9}, allow_fewer=True)
    assert [entry["rows"] for entry in fewer["categories"]] == [1, 1]


def test_what_is_not_there_is_known_before_anything_is_drawn(
    fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = mirror(tmp_path, {"cat": line("cat", CAT)})
    absent = {**BOTH, "categories": ("cat", "apple", "dog")}
    message = fetch.refused(mirror=root, **absent)
    assert re.search(r"2 of 3 cannot be had(.|\n)*apple: .*no such file", message)
    with MirrorServer(root) as server:
        message = fetch.refused(mirror=server.url, **absent)
    assert re.search(r"2 of 3 cannot(.|\n)*dog: .*dog\.ndjson: HTTP 404", message)
    assert "full/raw/<category>.ndjson" in fetch.refused(mirror=root, strokes="raw", **BOTH)
    apple = root / "full" / "simplified" / "apple.ndjson"
    apple.touch()
    message = fetch.refused(mirror=root, **BOTH)
    assert re.search("^apple: .*: no drawings; take it out", message)
    monkeypatch.setattr(ndjson, "LONGEST", 100_000)
    apple.write_bytes(b"[" * 200_000)
    message = fetch.refused(mirror=root, **BOTH)
    assert re.search("^apple: .*a line of more than 100,000 bytes", message)


numbers = st.lists(st.integers(-(10**6), 10**6) | st.floats(-1e6, 1e6), min_size=1, max_size=5)
stroke = numbers.flatmap(
    lambda xs: st.lists(st.integers(-9, 9), min_size=len(xs), max_size=len(xs)).map(
        lambda ys: [xs, ys]
    )
)


@given(st.lists(stroke, min_size=1, max_size=3))
def test_any_raw_drawing_fits_the_frame(drawing: list[Any]) -> None:
    points = np.concatenate(parse(line("cat", drawing), "cat", raw=True))
    assert points.min() == 0
    assert points.max() <= 255 * (1 + 1e-9)
    (bitmap,) = rasterise([[points]])
    assert bitmap.any()


@given(
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just("drawing"), inner),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode())
)
def test_whatever_the_line_it_is_strokes_or_refused(content: bytes) -> None:
    with contextlib.suppress(LineError):
        found = parse(content, "cat", raw=True)
        assert all(each.shape[1:] == (2,) for each in found)
