"""A folder of images: what its folders mean, and that nothing of it is taken or left in silence."""

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
from quickspine.sources.folder import storing
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


def test_one_folder_a_class(
    make_params: MakeParams, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, place = tmp_path / "My photos (ä)", tmp_path / "raw"
    decomposed = unicodedata.normalize("NFD", "Käse")
    one = put(root / "zoo & <b>" / "b.PNG", image(1))
    two = put(root / "zoo & <b>" / "a" / "z.png", image(2))
    jpeg = put(root / "zoo & <b>" / "c.JpEg", image(3), "JPEG")
    cheese = put(root / decomposed / "10.png", image(4))
    put(root / "apple" / "x.png", image(5))
    (root / "apple" / "by a link.png").symlink_to(root / decomposed / "10.png")
    for odd in (".hidden.png", "Thumbs.db", "desktop.ini", ".git/x.png", "__MACOSX/x.png"):
        (root / "apple" / odd).parent.mkdir(exist_ok=True)
        (root / "apple" / odd).write_bytes(b"no image")
    (root / ".cache").mkdir()
    (root / "zoo & <b>" / "d.webp").write_bytes(b"RIFF")
    (root / "README.txt").write_text("mine")

    manifest = fetch(make_params, place, "folder", folder=str(root))
    assert [entry["category"] for entry in manifest["categories"]] == ["Käse", "apple", "zoo & <b>"]
    assert [entry["rows"] for entry in manifest["categories"]] == [1, 2, 3]
    assert all("splits" not in entry for entry in manifest["categories"])
    assert (manifest["shape"], manifest["encoding"]) == ([4, 6, 3], "raw")
    assert manifest["licence"] == "not stated (the user's own folder)"
    assert "My photos (ä)" in manifest["attribution"]
    assert str(tmp_path) not in str(manifest)
    expected = [pixels(each) for each in (two, one, jpeg)]  # a/z before b before c
    assert np.array_equal(images(place, manifest, "zoo & <b>"), np.stack(expected))
    assert np.array_equal(images(place, manifest, "apple")[0], pixels(cheese))
    told = capsys.readouterr().err
    assert "2 left out, such as 'README.txt', 'zoo & <b>/d.webp'" in told

    some = fetch(
        make_params,
        place,
        "folder",
        folder=str(root),
        categories=("zoo & <b>", "Käse"),
        drawings_per_category=1,
        image_size=16,
    )
    assert [entry["category"] for entry in some["categories"]] == ["zoo & <b>", "Käse"]
    assert (some["shape"], some["encoding"]) == ([16, 16, 3], "pictures")
    assert stored(place, some, 0) == [two]
    assert stored(place, some, 1) == [cheese]
    whole = fetch(make_params, place, "folder", folder=str(root), image_size=16)
    assert stored(place, whole, 2) == [two, one, jpeg]  # to the byte
    with zipfile.ZipFile(place / "00002.zip") as archive:
        assert archive.namelist() == ["0000000.png", "0000001.png", "0000002.jpg"]


@pytest.mark.parametrize(
    ("folders", "splits"),
    [
        ({"train": 3, "valid": 1, "test": 2}, {"train": 3, "validation": 1, "test": 2}),
        ({"Training": 3, "Test": 2}, {"train": 3, "test": 2}),
        ({"TRAIN": 2, "val": 1}, {"train": 2, "test": 1}),
    ],
)
def test_splits_are_kept(
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
    told = capsys.readouterr().err
    assert ("'val' is the only part held out: the test split" in told) == ("val" in folders)
    assert "1 left out, such as 'papers'" in told
    first = dict.fromkeys(splits, 1)
    some = fetch(make_params, place, "folder", folder=str(root), drawings_per_category=1)
    assert [entry["splits"] for entry in some["categories"]] == [first, first]


def test_trains_are_no_split(make_params: MakeParams, tmp_path: Path) -> None:
    root = tmp_path / "vehicles"
    for name in ("car", "train", "test"):
        put(root / name / "1.png", image(1))
    manifest = fetch(make_params, tmp_path / "raw", "folder", folder=str(root))
    assert [entry["category"] for entry in manifest["categories"]] == ["car", "test", "train"]


def test_folders_that_will_not_do(
    make_params: MakeParams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "photos"

    def told(**data: Any) -> str:
        return refused(make_params, tmp_path / "raw", "folder", **{"folder": str(root), **data})

    assert "data.folder: no such folder. Received: " in told()
    put(root / "1.jpg", image(1), "JPEG")
    assert "data.folder: not a folder" in told(folder=str(root / "1.jpg"))
    assert "holds no folders, one a class; 1 images lie directly in it" in told()
    put(root / "cat" / "1.png", image(1))
    assert "photos: only the category 'cat'; at least two" in told()
    (root / "dog" / "deep").mkdir(parents=True)
    assert "photos: no images of 'dog'; add some" in told()
    (root / "dog" / "deep" / "loop").symlink_to(root / "dog")
    assert "'dog/deep/loop' is a link to a folder that it is in" in told()
    (root / "dog" / "deep" / "loop").unlink()
    put(root / "dog" / "deep" / "1.png", image(2))
    assert "'dogs': no such category; did you mean 'dog'?" in told(categories=("cat", "dogs"))
    assert "set data.allow_fewer: true, or lower it to 1\n  'cat': 1" in told(
        drawings_per_category=2
    )
    (root / "a\nb").mkdir()
    assert r"'a\nb': no name of a category; rename it" in told()
    (root / "a\nb").rename(root / "K\u00e4se")
    (root / "Ka\u0308se").mkdir()
    assert "two folders are named 'Käse', by different bytes" in told()
    (root / "Ka\u0308se").rmdir()
    os.mkdir(os.fsencode(root) + b"/\xff")  # noqa: PTH102 (a name that is no text)
    assert r"'\udcff': no name of a category" in told()
    os.rmdir(os.fsencode(root) + b"/\xff")  # noqa: PTH106
    (root / "K\u00e4se").rmdir()
    for size in (None, 32):
        with monkeypatch.context() as patched:
            patched.setattr("quickspine.space.RESERVE", 1 << 60)
            with pytest.raises(NoSpaceError, match=r"lower data\.drawings_per_category"):
                fetch(make_params, tmp_path / "raw", "folder", folder=str(root), image_size=size)
    assert not list(tmp_path.glob(".partial-*"))


def test_splits_that_will_not_do(make_params: MakeParams, tmp_path: Path) -> None:
    root, place = tmp_path / "set", tmp_path / "raw"

    def told(**data: Any) -> str:
        return refused(make_params, place, "folder", folder=str(root), **data)

    put(root / "train" / "cat" / "1.png", image(1))
    put(root / "train" / "dog" / "1.png", image(1))
    assert "holds 'train' and no test folder; add it" in told()
    put(root / "valid" / "cat" / "1.png", image(1))
    (root / "test").mkdir()
    assert "set/test' holds no folders, one a class" in told()
    put(root / "test" / "cat" / "1.png", image(1))
    put(root / "test" / "emu" / "1.png", image(1))
    assert "'dog': in train, not in valid, test\n  'emu': in test, not in train, valid" in told()
    put(root / "valid" / "dog" / "1.png", image(1))
    (root / "test" / "dog").mkdir()
    assert "no images of 'dog' in test" in told(categories=("cat", "dog"))
    put(root / "test" / "dog" / "1.png", image(1))
    manifest = fetch(make_params, place, "folder", folder=str(root), categories=("cat", "dog"))
    assert len(manifest["categories"]) == 2
    put(root / "val" / "cat" / "1.png", image(1))
    assert "'val' and 'valid' are both the validation split; keep one" in told()
    (root / "train").rename(root / ".train")
    (root / "val").rename(root / ".val")
    assert "holds 'test', 'valid' and no train folder" in told()


def test_sizes_and_kinds_that_differ(make_params: MakeParams, tmp_path: Path) -> None:
    root, place = tmp_path / "photos", tmp_path / "raw"

    def told() -> str:
        return refused(make_params, place, "folder", folder=str(root))

    put(root / "a" / "1.png", image(1))
    put(root / "b" / "1.png", image(1, 6, 5))
    assert "'a/1.png' is 6×4, colour, 'b/1.png' is 6×5, colour; set data.image_size" in told()  # noqa: RUF001
    put(root / "b" / "1.png", image(1, mode="L"))
    assert "'a/1.png' is 6×4, colour, 'b/1.png' is 6×4, grey; set data.image_size" in told()  # noqa: RUF001
    mixed = fetch(make_params, place, "folder", folder=str(root), image_size=8)
    assert mixed["shape"] == [8, 8, 3]
    put(root / "a" / "1.png", Image.new("L", (storing.MAX_SIDE + 1, 1)))
    assert "too large to be kept raw (at most 2048 a side); set data.image_size" in told()


@pytest.mark.parametrize("size", [None, 16])
def test_broken_images_are_all_named(
    make_params: MakeParams, tmp_path: Path, size: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "MAX_BYTES", 2000)
    root, place = tmp_path / "photos", tmp_path / "raw"
    whole = put(root / "b" / "ok.jpg", image(1, 16, 16), "JPEG")
    (root / "a").mkdir()
    (root / "a" / "1.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "a" / "2.jpg").write_bytes(b"")
    (root / "a" / "3.png").symlink_to(root / "nowhere")
    os.mkfifo(root / "a" / "4.png")
    put(root / "b" / "a gif.png", image(1), "GIF")
    (root / "b" / "z.jpg").write_bytes(bytes(2001))
    told = refused(make_params, place, "folder", folder=str(root), image_size=size)
    lines = told.splitlines()
    assert lines[0] == "data.folder: images that cannot be used; mend them, or take them out"
    for line, start in zip(
        lines[1:],
        (
            "'a/1.jpg': cut off before its end",
            "'a/2.jpg': an empty file",
            "'a/3.png': cannot be read (No such file or directory)",
            "'a/4.png': not a plain file",
            "'b/a gif.png': neither JPEG nor PNG; a GIF file",
            "'b/z.jpg': 2,001 bytes, more than 2,000",
        ),
        strict=True,
    ):
        assert line.startswith(f"  {start}"), line
    for number in range(30):
        (root / "a" / f"{number:02d}.jpg").write_bytes(b"no image")
    told = refused(make_params, place, "folder", folder=str(root), image_size=size)
    assert len(told.splitlines()) == 22  # the first one, 20 images, and that there may be more
