"""A folder of images: what its folders mean, and that nothing is taken or left out in silence."""

from __future__ import annotations

import io
import os
import unicodedata
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from quickspine.errors import NoSpaceError
from quickspine.sources import folder as source
from tests.conftest import MakeParams
from tests.unit.sources.fetching import fetch, images, refused


def image(seed: int, width: int = 6, height: int = 4, mode: str = "RGB") -> Image.Image:
    shape = (height, width, len(mode)) if len(mode) > 1 else (height, width)
    noise = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    return Image.fromarray(noise, mode)


def put(place: Path, picture: Image.Image, form: str = "PNG") -> bytes:
    place.parent.mkdir(parents=True, exist_ok=True)
    picture.save(place, form)
    return place.read_bytes()


def stored(place: Path, manifest: dict[str, Any], label: int) -> list[bytes]:
    with zipfile.ZipFile(place / manifest["categories"][label]["file"]) as archive:
        return [archive.read(name) for name in archive.namelist()]


def pixels(content: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(content)))


def test_one_folder_per_class(make_params: MakeParams, tmp_path: Path) -> None:
    root, place = tmp_path / "My photos (ä)", tmp_path / "raw"
    decomposed = unicodedata.normalize("NFD", "Käse")
    one = put(root / "zoo & <b>" / "b.PNG", image(1))
    two = put(root / "zoo & <b>" / "a.png", image(2))
    jpeg = put(root / "zoo & <b>" / "c.JpEg", image(3), "JPEG")
    cheese = put(root / decomposed / "10.png", image(4))
    put(root / "apple" / "x.png", image(5))
    (root / "apple" / "by a link.png").symlink_to(root / decomposed / "10.png")

    manifest = fetch(make_params, place, "folder", folder=str(root))
    assert [entry["category"] for entry in manifest["categories"]] == ["Käse", "apple", "zoo & <b>"]
    assert [entry["rows"] for entry in manifest["categories"]] == [1, 2, 3]
    assert all("splits" not in entry for entry in manifest["categories"])
    assert (manifest["shape"], manifest["encoding"]) == ([4, 6, 3], "raw")
    assert manifest["licence"] == "not stated (the user's own folder)"
    assert "My photos (ä)" in manifest["attribution"]
    assert str(tmp_path) not in str(manifest)
    expected = [pixels(each) for each in (two, one, jpeg)]
    assert np.array_equal(images(place, manifest, "zoo & <b>"), np.stack(expected))
    assert np.array_equal(images(place, manifest, "apple")[0], pixels(cheese))

    some = fetch(
        make_params,
        place,
        "folder",
        folder=str(root),
        categories=("zoo & <b>", "Käse"),
        drawings_per_category=1,
        image_size=16,
        title="My own",
    )
    assert [entry["category"] for entry in some["categories"]] == ["zoo & <b>", "Käse"]
    assert (some["source"], some["shape"], some["encoding"]) == ("My own", [16, 16, 3], "pictures")
    assert stored(place, some, 0) == [two]
    assert stored(place, some, 1) == [cheese]
    whole = fetch(make_params, place, "folder", folder=str(root), image_size=16)
    assert stored(place, whole, 2) == [two, one, jpeg]  # to the byte
    with zipfile.ZipFile(place / "00002.zip") as archive:
        assert archive.namelist() == ["0000000.png", "0000001.png", "0000002.jpg"]


def test_thumbnails_and_system_folders_are_left_out_and_counted(
    make_params: MakeParams, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, place = tmp_path / "nas", tmp_path / "raw"
    for split in ("train", "test"):
        put(root / split / "cat" / "1.png", image(1))
        put(root / split / "cat" / "@eaDir" / "1.png" / "SYNOPHOTO_THUMB_M.png", image(2))
        put(root / split / "cat" / ".thumbnails" / "1.png", image(2))
        put(root / split / "dog" / "Thumbnails" / "2.png", image(2))
        put(root / split / "dog" / "roll 1" / "1.png", image(3))
        put(root / split / "dog" / "roll 2" / "1.png", image(4))
        put(root / split / "System Volume Information" / "1.png", image(5))
        put(root / split / "lost+found" / "1.png", image(5))
    put(root / "train" / "cat" / "edited" / "1.png", image(6))
    for name in ("#recycle", "$RECYCLE.BIN", "__MACOSX"):
        put(root / name / "1.png", image(7))
    (root / "train" / "cat" / "Thumbs.db").touch()
    (root / "train" / "cat" / "d.webp").write_bytes(b"RIFF")
    (root / "README.txt").write_text("mine")

    manifest = fetch(make_params, place, "folder", folder=str(root))
    assert {entry["category"]: entry["splits"] for entry in manifest["categories"]} == {
        "cat": {"train": 1, "test": 1},
        "dog": {"train": 2, "test": 2},
    }
    nested, left_out = capsys.readouterr().err.splitlines()[:2]
    assert "folders inside 'train/dog', 'test/dog'" in nested
    assert left_out.startswith("fetch: 17 left out: 14 hidden or of the system (such as ")
    assert "1 beside the classes (such as 'README.txt')" in left_out
    assert "1 neither JPEG nor PNG by name (such as 'train/cat/d.webp')" in left_out
    assert "1 images deeper than others of their class (such as 'train/cat/edited/1." in left_out


@pytest.mark.parametrize(
    ("folders", "splits"),
    [
        ({"train": 3, "valid": 1, "test": 2}, {"train": 3, "validation": 1, "test": 2}),
        ({"Training": 3, "Test": 2}, {"train": 3, "test": 2}),
        ({"TRAIN": 2, "val": 1}, {"train": 2, "test": 1}),
    ],
)
def test_splits_are_kept_and_test_is_whole(
    make_params: MakeParams,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    folders: dict[str, int],
    splits: dict[str, int],
) -> None:
    root, place = tmp_path / "set", tmp_path / "raw"
    for number, (folder, count) in enumerate(folders.items()):
        for name in ("car", "train"):
            for each in range(count):
                picture = Image.new("L", (5, 5), 50 * number + each + 10 * (name == "car"))
                put(root / folder / name / f"{each}.png", picture)
    put(root / "papers" / "x.png", image(1))
    manifest = fetch(make_params, place, "folder", folder=str(root))
    assert manifest["shape"] == [5, 5, 1]
    assert [entry["splits"] for entry in manifest["categories"]] == [splits, splits]
    order = {"train": 0, "validation": 1, "test": len(folders) - 1}
    expected = [
        50 * order[split] + each for split, count in splits.items() for each in range(count)
    ]
    assert images(place, manifest, "train")[:, 0, 0, 0].tolist() == expected
    messages = capsys.readouterr().err
    assert ("'val' is the only part held out: the test split" in messages) == ("val" in folders)
    assert "1 beside the splits (such as 'papers')" in messages

    part = fetch(make_params, place, "folder", folder=str(root), drawings_per_category=1)
    expected_splits = {**dict.fromkeys(splits, 1), "test": splits["test"]}
    assert [entry["splits"] for entry in part["categories"]] == [expected_splits] * 2
    part = fetch(make_params, place, "folder", folder=str(root), test_per_category=1)
    assert [entry["splits"] for entry in part["categories"]] == [{**splits, "test": 1}] * 2
    text = refused(make_params, tmp_path / "no", "folder", folder=str(root), test_per_category=3)
    assert text.startswith("data.test_per_category: 3 asked for, ")
    assert f"'car' in test: {splits['test']}" in text


def test_trains_are_no_split(make_params: MakeParams, tmp_path: Path) -> None:
    root = tmp_path / "vehicles"
    for name in ("car", "train", "test"):
        put(root / name / "1.png", image(1))
    manifest = fetch(make_params, tmp_path / "raw", "folder", folder=str(root))
    assert [entry["category"] for entry in manifest["categories"]] == ["car", "test", "train"]


def test_folders_that_are_refused(
    make_params: MakeParams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "photos"

    def error(**data: Any) -> str:
        return refused(make_params, tmp_path / "raw", "folder", **{"folder": str(root), **data})

    assert "data.folder: no such folder. Received: " in error()
    put(root / "1.jpg", image(1), "JPEG")
    assert "data.folder: not a folder" in error(folder=str(root / "1.jpg"))
    assert "holds no folders, one a class; 1 images lie directly in it" in error()
    put(root / "cat" / "1.png", image(1))
    assert "photos: only the category 'cat'; at least two" in error()
    (root / "dog" / "deep").mkdir(parents=True)
    assert "photos: no images of 'dog'; add some" in error()
    (root / "dog" / "deep" / "loop").symlink_to(root / "dog")
    assert "'dog/deep/loop' is a link to a folder that it is in" in error()
    (root / "dog" / "deep" / "loop").unlink()
    put(root / "dog" / "deep" / "1.png", image(2))
    assert "'dogs': no such category; did you mean 'dog'?" in error(categories=("cat", "dogs"))
    assert "lower it to 1\n  'cat': 1" in error(drawings_per_category=2)
    (root / "a\nb").mkdir()
    assert r"'a\nb': no name of a category; rename it" in error()
    (root / "a\nb").rename(root / "K\u00e4se")
    (root / "Ka\u0308se").mkdir()
    assert "two folders are named 'Käse', by different bytes" in error()
    (root / "Ka\u0308se").rmdir()
    os.mkdir(os.fsencode(root) + b"/\xff")  # noqa: PTH102 (a name that is no text)
    assert r"'\udcff': no name of a category" in error()
    os.rmdir(os.fsencode(root) + b"/\xff")  # noqa: PTH106
    (root / "K\u00e4se").rmdir()
    for size in (None, 32):
        with monkeypatch.context() as patched:
            patched.setattr("quickspine.space.RESERVE", 1 << 60)
            with pytest.raises(NoSpaceError, match=r"lower data\.drawings_per_category"):
                fetch(make_params, tmp_path / "raw", "folder", folder=str(root), image_size=size)
    assert not list(tmp_path.glob(".partial-*"))


def test_splits_that_are_refused(make_params: MakeParams, tmp_path: Path) -> None:
    root, place = tmp_path / "set", tmp_path / "raw"

    def error(**data: Any) -> str:
        return refused(make_params, place, "folder", folder=str(root), **data)

    put(root / "train" / "cat" / "1.png", image(1))
    put(root / "train" / "dog" / "1.png", image(1))
    assert "holds 'train' and no test folder; add it" in error()
    put(root / "valid" / "cat" / "1.png", image(1))
    (root / "test").mkdir()
    assert "set/test' holds no folders, one a class" in error()
    put(root / "test" / "cat" / "1.png", image(1))
    put(root / "test" / "emu" / "1.png", image(1))
    assert "'dog': in train, not in valid, test\n  'emu': in test, not in train, valid" in error()
    put(root / "valid" / "dog" / "1.png", image(1))
    (root / "test" / "dog").mkdir()
    assert "no images of 'dog' in test" in error(categories=("cat", "dog"))
    put(root / "test" / "dog" / "1.png", image(1))
    manifest = fetch(make_params, place, "folder", folder=str(root), categories=("cat", "dog"))
    assert len(manifest["categories"]) == 2
    put(root / "val" / "cat" / "1.png", image(1))
    assert "'val' and 'valid' are both the validation split; keep one" in error()
    (root / "train").rename(root / ".train")
    (root / "val").rename(root / ".val")
    assert "holds 'test', 'valid' and no train folder" in error()


@pytest.mark.parametrize("inside", ["", "unknown"])
def test_an_unlabelled_test_split_is_refused_with_what_to_do(
    make_params: MakeParams, tmp_path: Path, inside: str
) -> None:
    root = tmp_path / "competition"

    def error() -> str:
        return refused(make_params, tmp_path / "raw", "folder", folder=str(root))

    put(root / "test" / inside / "1.png", image(1))
    put(root / "train" / "cat.1.png", image(1))
    assert "'test', 'train' are named as splits, but 'train' holds no folders" in error()
    (root / "train" / "cat.1.png").unlink()
    for number, name in enumerate(("cat", "dog")):
        put(root / "train" / name / "1.png", image(number))
    message = error()
    assert "data.folder: 'test' has no labels" in message
    assert "set data.folder to its train, which is then split by content" in message
    whole = fetch(make_params, tmp_path / "raw", "folder", folder=str(root / "train"))
    assert [entry["category"] for entry in whole["categories"]] == ["cat", "dog"]
    for number, name in enumerate(("cat", "dog")):
        put(root / "val" / name / "1.png", image(number))
    (tmp_path / "raw").rename(tmp_path / "whole")
    assert "'test' has no labels" in (message := error())
    assert "move it elsewhere: another held-out split is used then" in message


def test_sizes_and_kinds_that_differ(make_params: MakeParams, tmp_path: Path) -> None:
    root, place = tmp_path / "photos", tmp_path / "raw"

    def error() -> str:
        return refused(make_params, place, "folder", folder=str(root))

    put(root / "a" / "1.png", image(1))
    put(root / "b" / "1.png", image(1, 6, 5))
    assert "'a/1.png' is 6×4, colour, 'b/1.png' is 6×5, colour; set data.image_size" in error()  # noqa: RUF001
    put(root / "b" / "1.png", image(1, mode="L"))
    assert "'a/1.png' is 6×4, colour, 'b/1.png' is 6×4, grey; set data.image_size" in error()  # noqa: RUF001
    mixed = fetch(make_params, place, "folder", folder=str(root), image_size=8)
    assert mixed["shape"] == [8, 8, 3]
    put(root / "a" / "1.png", Image.new("L", (source.MAX_SIDE + 1, 1)))
    assert "too large to be kept raw (at most 2048 a side); set data.image_size" in error()


@pytest.mark.parametrize("size", [None, 16])
def test_broken_images_are_all_named(
    make_params: MakeParams, tmp_path: Path, size: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "MAX_BYTES", 2000)
    root, place = tmp_path / "photos", tmp_path / "raw"
    whole = put(root / "b" / "ok.jpg", image(1, 16, 16), "JPEG")
    (root / "a").mkdir()
    (root / "a" / "1.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "a" / "2.jpg").write_bytes(b"")
    (root / "a" / "3.png").symlink_to(root / "nowhere")
    os.mkfifo(root / "a" / "4.png")
    (root / "a" / "5.jpg").write_bytes(b"<!DOCTYPE html><title>Not found</title>")
    put(root / "b" / "a gif.png", image(1), "GIF")
    (root / "b" / "z.jpg").write_bytes(bytes(2001))
    lines = refused(make_params, place, "folder", folder=str(root), image_size=size).splitlines()
    assert lines[0].startswith("data.folder: ")
    for line, start in zip(
        lines[1:],
        (
            "'a/1.jpg': cut off before its end",
            "'a/2.jpg': neither JPEG nor PNG: an empty file",
            "'a/3.png': cannot be read (No such file or directory)",
            "'a/4.png': not a plain file",
            "'a/5.jpg': neither JPEG nor PNG: a web page (HTML)",
            "'b/a gif.png': neither JPEG nor PNG: a GIF file",
            "'b/z.jpg': 2,001 bytes, more than 2,000",
        ),
        strict=True,
    ):
        assert line.startswith(f"  {start}"), line
    for number in range(30):
        (root / "a" / f"{number:02d}.jpg").write_bytes(b"no image")
    error = refused(make_params, place, "folder", folder=str(root), image_size=size)
    assert len(error.splitlines()) == 22  # the first one, 20 images, and that there may be more


def test_jpeg_files_that_libjpeg_warns_of_are_named_once_and_silent_afterwards(
    make_params: MakeParams, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import tensorflow as tf

    root, place = tmp_path / "photos", tmp_path / "raw"
    whole = put(root / "a" / "whole.jpg", image(1, 48, 48), "JPEG")
    put(root / "b" / "x.png", image(1))
    late = whole[:-2] + b"\x12\x34" * 20 + whole[-2:]  # more data than the image needs
    early = whole[: len(whole) * 2 // 3] + whole[-2:]
    (root / "a" / "early.jpg").write_bytes(early)
    (root / "a" / "late.jpg").write_bytes(late)
    manifest = fetch(make_params, place, "folder", folder=str(root), image_size=16)
    first, *named = capfd.readouterr().err.splitlines()[-3:]
    assert first == "fetch: 2 damaged JPEG files are stored as PNG of what they show"
    assert named[0].startswith("  'a/early.jpg': Corrupt JPEG data: premature end of data segment")
    assert named[1].startswith("  'a/late.jpg': Corrupt JPEG data: ")
    assert "extraneous bytes" in named[1]
    files = stored(place, manifest, 0)
    assert files[2] == whole
    for content in files:
        tf.io.decode_image(content)
    assert not capfd.readouterr().err
    assert np.array_equal(pixels(files[1]), pixels(whole))
