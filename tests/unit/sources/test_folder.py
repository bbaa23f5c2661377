"""A folder of images: what its folders mean, and that nothing is taken or left out in silence."""

from __future__ import annotations

import io
import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from quickspine.errors import NoSpaceError
from quickspine.sources import folder as source
from tests.unit.sources.conftest import Fetch, names, splits

SOURCE = "folder"


def image(seed: int, width: int = 6, height: int = 4, mode: str = "RGB") -> Image.Image:
    shape = (height, width, len(mode)) if len(mode) > 1 else (height, width)
    noise = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    return Image.fromarray(noise, mode)


def put(place: Path, picture: Image.Image, form: str = "PNG") -> bytes:
    place.parent.mkdir(parents=True, exist_ok=True)
    picture.save(place, form)
    return place.read_bytes()


def put_all(root: Path, *places: str) -> None:
    """Write an image at each place, no two alike."""
    for number, place in enumerate(places):
        put(root / place, image(number))


def pixels(content: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder, not there yet."""
    return tmp_path / "My photos (ä)"


def test_one_folder_per_class(fetch: Fetch, root: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "Käse")
    one = put(root / "zoo & <b>" / "b.PNG", image(1))
    two = put(root / "zoo & <b>" / "a.png", image(2))
    jpeg = put(root / "zoo & <b>" / "c.JpEg", image(3), "JPEG")
    cheese = put(root / decomposed / "10.png", image(4))
    put(root / "apple" / "x.png", image(5))
    (root / "apple" / "by a link.png").symlink_to(root / decomposed / "10.png")

    manifest = fetch(folder=root)
    assert names(manifest) == ["Käse", "apple", "zoo & <b>"]
    assert [entry["rows"] for entry in manifest["categories"]] == [1, 2, 3]
    assert splits(manifest) == [None] * 3
    assert (manifest["shape"], manifest["encoding"]) == ([4, 6, 3], "raw")
    assert manifest["licence"] == "not stated (the user's own folder)"
    assert "My photos (ä)" in manifest["attribution"]
    assert str(root.parent) not in str(manifest)
    expected = [pixels(each) for each in (two, one, jpeg)]
    assert np.array_equal(fetch.images(manifest, "zoo & <b>"), np.stack(expected))
    assert np.array_equal(fetch.images(manifest, "apple")[0], pixels(cheese))

    order = ("zoo & <b>", "Käse")
    some = fetch(
        folder=root, categories=order, drawings_per_category=1, image_size=16, title="My own"
    )
    assert names(some) == list(order)
    assert (some["source"], some["shape"], some["encoding"]) == ("My own", [16, 16, 3], "pictures")
    assert [list(fetch.stored(some, label).values()) for label in (0, 1)] == [[two], [cheese]]
    whole = fetch(folder=root, image_size=16)
    assert fetch.stored(whole, 2) == {"0000000.png": two, "0000001.png": one, "0000002.jpg": jpeg}


def test_thumbnails_and_system_folders_are_left_out_and_counted(
    fetch: Fetch, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for split in ("train", "test"):
        put_all(root / split, "cat/@eaDir/1.png/SYNOPHOTO_THUMB_M.png", "cat/.thumbnails/1.png")
        put_all(root / split, "dog/Thumbnails/2.png", "System Volume Information/1.png")
        put_all(root / split, "lost+found/1.png")
        put_all(root / split, "cat/1.png", "dog/roll 1/1.png", "dog/roll 2/1.png")
    put_all(root, "train/cat/edited/1.png")
    put_all(root, "#recycle/1.png", "$RECYCLE.BIN/1.png", "__MACOSX/1.png")
    put_all(root, *(f"{name}/1.png" for name in ("Recycle Bin", "FOUND.000", "~snapshot", "@x")))
    (root / "train" / "cat" / "Thumbs.db").touch()
    (root / "train" / "cat" / "d.webp").write_bytes(b"RIFF")
    (root / "README.txt").write_text("mine")

    manifest = fetch(folder=root)
    assert names(manifest) == ["cat", "dog"]
    assert splits(manifest) == [{"train": 1, "test": 1}, {"train": 2, "test": 2}]
    nested, left_out = capsys.readouterr().err.splitlines()[:2]
    assert "folders inside 'train/dog', 'test/dog'" in nested
    assert left_out.startswith("fetch: 21 left out: 18 hidden or of the system (such as ")
    assert "1 beside the classes (such as 'README.txt')" in left_out
    assert "1 neither JPEG nor PNG by name (such as 'train/cat/d.webp')" in left_out
    assert "1 images deeper than others of their class (such as 'train/cat/edited/1." in left_out


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        ({"train": 3, "valid": 1, "test": 2}, {"train": 3, "validation": 1, "test": 2}),
        ({"Training": 3, "Test": 2}, {"train": 3, "test": 2}),
        ({"TRAIN": 2, "val": 1}, {"train": 2, "test": 1}),
    ],
)
def test_splits_are_kept_and_test_is_whole(
    fetch: Fetch,
    root: Path,
    capsys: pytest.CaptureFixture[str],
    folders: dict[str, int],
    expected: dict[str, int],
) -> None:
    for number, (folder, count) in enumerate(folders.items()):
        for name in ("car", "train"):
            for each in range(count):
                picture = Image.new("L", (5, 5), 50 * number + each + 10 * (name == "car"))
                put(root / folder / name / f"{each}.png", picture)
    put_all(root, "papers/x.png")
    manifest = fetch(folder=root)
    assert manifest["shape"] == [5, 5, 1]
    assert splits(manifest) == [expected] * 2
    order = {"train": 0, "validation": 1, "test": len(folders) - 1}
    greys = [50 * order[split] + each for split, count in expected.items() for each in range(count)]
    assert fetch.images(manifest, "train")[:, 0, 0, 0].tolist() == greys
    messages = capsys.readouterr().err
    assert ("'val' is the only part held out: the test split" in messages) == ("val" in folders)
    assert "1 beside the splits (such as 'papers')" in messages

    one = {**dict.fromkeys(expected, 1), "test": expected["test"]}
    assert splits(fetch(folder=root, drawings_per_category=1)) == [one] * 2
    assert splits(fetch(folder=root, test_per_category=1)) == [{**expected, "test": 1}] * 2
    message = fetch.refused(folder=root, test_per_category=3)
    assert message.startswith("data.test_per_category: 3 asked for, ")
    assert f"'car' in test: {expected['test']}" in message


@pytest.mark.parametrize("trains", [("train", "test"), ("tests", "trains"), ("dev", "train")])
def test_trains_are_no_split(fetch: Fetch, root: Path, trains: tuple[str, str]) -> None:
    put_all(root, "car/1.png", *(f"{name}/1.png" for name in trains))
    assert names(fetch(folder=root)) == sorted(["car", *trains])


@pytest.mark.parametrize(
    ("places", "message"),
    [
        (
            "test_images/1.png train_images/1.png",
            "data.folder: 'test_images', 'train_images' look like splits, not classes; rename "
            "them to train and test (and validation)",
        ),
        ("test_images/1.png train_images/1.png papers/1.png", "'train_images' look like splits"),
        ("trainset/a/1.png Test-Data/a/1.png papers/1.png", "'Test-Data', 'trainset' look like"),
        ("trains/1.png tests/1.png", "'tests', 'trains' look like splits"),
        ("train/a/1.png val2017/a/1.png", "'train', 'val2017' look like splits"),
        ("train/a/1.png test/a/1.png dev/a/1.png", "'dev', 'test', 'train' look like splits"),
        ("train/images/1.png train/labels/1.png test/x/1.png", "'train/labels' are a layout for"),
        ("Images/train/1.png labels/train/1.png", "'Images' and 'labels' are a layout for"),
        ("train/cat/1.png train/dog/1.png test/Cat/1.png test/dog /1.png", "'Cat', 'dog ' of test "
         "differ from train's 'cat', 'dog' only in capitals, spaces or Unicode form; rename them"),
        ("train/ok/1.png train/\uff41b/1.png val/ok/1.png val/ab/1.png", "'ab' of val differ"),
        ("dataset/train/1.png dataset/test/1.png", "'dataset'; at least two are needed. If they "
         "are inside it, name that folder: data.folder: "),
    ],
)  # fmt: skip
def test_folders_that_mean_something_else(
    fetch: Fetch, root: Path, places: str, message: str
) -> None:
    put_all(root, *places.replace(".png ", ".png\n").splitlines())
    assert message in fetch.refused(folder=root)


def test_folders_that_are_refused(
    fetch: Fetch, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "data.folder: no such folder. Received: " in fetch.refused(folder=root)
    put(root / "1.jpg", image(1), "JPEG")
    assert "data.folder: not a folder" in fetch.refused(folder=root / "1.jpg")
    message = fetch.refused(folder=root)
    assert "holds no folders, one a class; 1 images lie directly in it" in message
    put_all(root, "cat/1.png")
    assert ": only the category 'cat'; at least two" in fetch.refused(folder=root)
    (root / "dog" / "deep").mkdir(parents=True)
    assert ": no images of 'dog'; add some" in fetch.refused(folder=root)
    (root / "dog" / "deep" / "loop").symlink_to(root / "dog")
    message = fetch.refused(folder=root)
    assert "'dog/deep/loop' is a link to a folder that it is in" in message
    (root / "dog" / "deep" / "loop").unlink()
    for name, target, words in (
        ("up", "..", "'dog/up' is a link to a folder that it is in"),
        ("1.png", "1.png", "'dog/1.png' cannot be read (Too many levels of symbolic links)"),
    ):
        (root / "dog" / name).symlink_to(target)
        assert words in fetch.refused(folder=root)
        (root / "dog" / name).unlink()
    put_all(root, "dog/deep/1.png")
    message = fetch.refused(folder=root, categories=("cat", "dogs"))
    assert "'dogs': no such category; did you mean 'dog'?" in message
    message = fetch.refused(folder=root, drawings_per_category=2)
    assert "lower it to 1\n  'cat': 1" in message
    for wrong, words in {
        b"a\nb": r"'a\nb': no name of a category; rename it",
        b"\xff": r"'\udcff': no name of a category",
        "Ka\u0308se".encode(): "two folders are named 'Käse', by different bytes",
    }.items():
        (root / "K\u00e4se").mkdir(exist_ok=True)
        os.mkdir(os.fsencode(root) + b"/" + wrong)  # noqa: PTH102 (a name that is no text)
        assert words in fetch.refused(folder=root)
        os.rmdir(os.fsencode(root) + b"/" + wrong)  # noqa: PTH106
    (root / "K\u00e4se").rmdir()
    monkeypatch.setattr("quickspine.space.RESERVE", 1 << 60)
    for size in (None, 32):
        with pytest.raises(NoSpaceError, match=r"lower data\.drawings_per_category"):
            fetch(folder=root, image_size=size)
    assert not list(root.parent.glob(".partial-*"))


def test_splits_that_are_refused(fetch: Fetch, root: Path) -> None:
    put_all(root, "train/cat/1.png", "train/dog/1.png")
    assert "holds 'train' and no test folder; add it" in fetch.refused(folder=root)
    put_all(root, "valid/cat/1.png")
    (root / "test").mkdir()
    assert "/test' holds no folders, one a class" in fetch.refused(folder=root)
    put_all(root, "test/cat/1.png", "test/emu/1.png")
    message = fetch.refused(folder=root)
    assert "'dog': in train, not in valid, test\n  'emu': in test, not in train, valid" in message
    put_all(root, "valid/dog/1.png")
    (root / "test" / "dog").mkdir()
    message = fetch.refused(folder=root, categories=("cat", "dog"))
    assert "no images of 'dog' in test" in message
    put_all(root, "test/dog/1.png")
    assert names(fetch(folder=root, categories=("cat", "dog"))) == ["cat", "dog"]
    put_all(root, "val/cat/1.png")
    message = fetch.refused(folder=root)
    assert "'val' and 'valid' are both the validation split; keep one" in message
    (root / "train").rename(root / ".train")
    (root / "val").rename(root / ".val")
    assert "holds 'test', 'valid' and no train folder" in fetch.refused(folder=root)


@pytest.mark.parametrize("inside", ["", "unknown/"])
def test_an_unlabelled_test_split_is_refused_with_what_to_do(
    fetch: Fetch, root: Path, inside: str
) -> None:
    put_all(root, f"test/{inside}1.png", "train/cat.1.png")
    message = fetch.refused(folder=root)
    assert "'test', 'train' are named as splits, but 'train' holds no folders" in message
    (root / "train" / "cat.1.png").unlink()
    put_all(root, "train/cat/1.png", "train/dog/1.png")
    message = fetch.refused(folder=root)
    assert "data.folder: 'test' has no labels" in message
    assert "set data.folder to its train, which is then split by content" in message
    assert names(fetch(folder=root / "train")) == ["cat", "dog"]
    put_all(root, "val/cat/1.png", "val/dog/1.png")
    message = fetch.refused(folder=root)
    assert "'test' has no labels" in message
    assert "move it elsewhere: another held-out split is used then" in message


def test_sizes_and_kinds_that_differ(fetch: Fetch, root: Path) -> None:
    put(root / "a" / "1.png", image(1))
    for other, what in ((image(1, 6, 5), "6×5, colour"), (image(1, mode="L"), "6×4, grey")):  # noqa: RUF001
        put(root / "b" / "1.png", other)
        message = fetch.refused(folder=root)
        assert f"'a/1.png' is 6×4, colour, 'b/1.png' is {what}; set data.image_size" in message  # noqa: RUF001
    assert fetch(folder=root, image_size=8)["shape"] == [8, 8, 3]
    put(root / "a" / "1.png", Image.new("L", (source.MAX_SIDE + 1, 1)))
    message = fetch.refused(folder=root)
    assert "too large to be kept raw (at most 2048 a side); set data.image_size" in message


@pytest.mark.parametrize("size", [None, 16])
def test_broken_images_are_all_named(
    fetch: Fetch, root: Path, size: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "MAX_BYTES", 2000)
    whole = put(root / "b" / "ok.jpg", image(1, 16, 16), "JPEG")
    (root / "a").mkdir()
    (root / "a" / "1.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "a" / "2.jpg").write_bytes(b"")
    (root / "a" / "3.png").symlink_to(root / "nowhere")
    os.mkfifo(root / "a" / "4.png")
    (root / "a" / "5.jpg").write_bytes(b"<!DOCTYPE html><title>Not found</title>")
    put(root / "b" / "a gif.png", image(1), "GIF")
    (root / "b" / "z.jpg").write_bytes(bytes(2001))
    lines = fetch.refused(folder=root, image_size=size).splitlines()
    starts = (
        "data.folder: ",
        "  'a/1.jpg': cut off before its end",
        "  'a/2.jpg': neither JPEG nor PNG: an empty file",
        "  'a/3.png': cannot be read (No such file or directory)",
        "  'a/4.png': not a plain file",
        "  'a/5.jpg': neither JPEG nor PNG: a web page (HTML)",
        "  'b/a gif.png': neither JPEG nor PNG: a GIF file",
        "  'b/z.jpg': 2,001 bytes, more than 2,000",
    )
    for line, start in zip(lines, starts, strict=True):
        assert line.startswith(start), line
    for number in range(30):
        (root / "a" / f"{number:02d}.jpg").write_bytes(b"no image")
    message = fetch.refused(folder=root, image_size=size)
    assert len(message.splitlines()) == 22  # the first one, 20 images, and that there may be more


def test_jpeg_files_that_libjpeg_warns_of_are_named_once_and_silent_afterwards(
    fetch: Fetch, root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import tensorflow as tf

    whole = put(root / "a" / "whole.jpg", image(1, 48, 48), "JPEG")
    put_all(root, "b/x.png")
    late = whole[:-2] + b"\x12\x34" * 20 + whole[-2:]  # more data than the image needs
    early = whole[: len(whole) * 2 // 3] + whole[-2:]
    (root / "a" / "early.jpg").write_bytes(early)
    (root / "a" / "late.jpg").write_bytes(late)
    manifest = fetch(folder=root, image_size=16)
    first, *named = capfd.readouterr().err.splitlines()[-3:]
    assert first == "fetch: 2 damaged JPEG files are stored as PNG of what they show"
    assert named[0].startswith("  'a/early.jpg': Corrupt JPEG data: premature end of data segment")
    assert named[1].startswith("  'a/late.jpg': Corrupt JPEG data: ")
    assert "extraneous bytes" in named[1]
    files = list(fetch.stored(manifest, 0).values())
    assert files[2] == whole
    for content in files:
        tf.io.decode_image(content)
    assert not capfd.readouterr().err
    assert np.array_equal(pixels(files[1]), pixels(whole))
