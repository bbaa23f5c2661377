"""Files in MNIST's format: what is right is kept to the byte, what is damaged is named."""

from __future__ import annotations

import contextlib
import gzip
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from quickspine.errors import InputError, NoSpaceError
from quickspine.sources.idx import reader
from quickspine.sources.idx.reader import IdxFile
from tests.unit.sources.conftest import Fetch, names, splits

SOURCE = "idx"
NAMES = {0x08: "u1", 0x09: "i1", 0x0B: "i2", 0x0C: "i4", 0x0D: "f4", 0x0E: "f8"}
CODES = {np.dtype(name): code for code, name in NAMES.items()}


def idx(array: NDArray[Any]) -> bytes:
    """The array in MNIST's format."""
    head = bytes((0, 0, CODES[array.dtype], array.ndim))
    return (
        head
        + np.array(array.shape, ">i4").tobytes()
        + array.astype(">" + array.dtype.str[1:]).tobytes()
    )


def put(folder: Path, name: str, content: bytes, packed: bool | None = None) -> None:
    folder.mkdir(exist_ok=True)
    packed = name.endswith(".gz") if packed is None else packed
    (folder / name).write_bytes(gzip.compress(content) if packed else content)


def pictures(labels: NDArray[Any], height: int = 4, width: int = 5) -> NDArray[np.uint8]:
    """Images that tell themselves apart, uint8 [n, height, width]."""
    noise = np.random.default_rng(len(labels)).integers(0, 256, (len(labels), height, width))
    return noise.astype(np.uint8)


TRAIN = np.array([1, 0, 2, 2, 1, 0, 0, 2], np.uint8)
TEST = np.array([2, 2, 1, 0, 1], np.uint8)


def mnist(
    folder: Path, suffix: str = ".gz", packed: bool | None = None, **other: NDArray[Any]
) -> dict[str, NDArray[Any]]:
    """Write a small MNIST; `other` arrays replace its own."""
    arrays: dict[str, NDArray[Any]] = {
        "train_images": pictures(TRAIN),
        "train_labels": TRAIN,
        "t10k_images": pictures(TEST),
        "t10k_labels": TEST,
        **other,
    }
    for part, array in arrays.items():
        name = f"{part.replace('_', '-')}-idx{3 if 'images' in part else 1}-ubyte{suffix}"
        put(folder, name, idx(array), packed)
    return arrays


@pytest.mark.parametrize(
    ("name", "packed"), [(".gz", True), ("", False), (".gz", False), ("", True)]
)
def test_mnist(
    fetch: Fetch, tmp_path: Path, name: str, packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether a file is packed, its first bytes decide: browsers unpack, and keep the name."""
    monkeypatch.setattr(reader, "BLOCK", 45)  # two images at once
    folder = tmp_path / "of digits"
    arrays = mnist(folder, name, packed)
    manifest = fetch(folder=folder)
    assert manifest["shape"] == [4, 5, 1]
    assert names(manifest) == ["0", "1", "2"]
    for label, entry in enumerate(manifest["categories"]):
        train = arrays["train_images"][label == TRAIN]
        test = arrays["t10k_images"][label == TEST]
        assert entry["splits"] == {"train": len(train), "test": len(test)}
        found = fetch.images(manifest, str(label))[..., 0]
        assert np.array_equal(found, np.concatenate([train, test]))
    assert str(tmp_path) not in str(manifest)  # nobody's machine in a file that travels

    some = fetch(folder=folder, dataset="mnist", categories=("2", "0"), drawings_per_category=1)
    assert splits(some) == [{"train": 1, "test": 2}, {"train": 1, "test": 1}]
    first = [arrays["train_images"][2], *arrays["t10k_images"][:2]]
    assert np.array_equal(fetch.images(some, "2")[..., 0], np.stack(first))


def test_folders_named_as_their_files(fetch: Fetch, tmp_path: Path) -> None:
    """As Kaggle's archives unpack: train-images-idx3-ubyte/train-images-idx3-ubyte."""
    mnist(tmp_path / "files", "", False)
    for path in list((tmp_path / "files").iterdir()):
        inner = path.rename(path.with_suffix(".moved"))
        path.mkdir()
        inner.rename(path / path.name)
    assert names(fetch(folder=tmp_path / "files")) == ["0", "1", "2"]


def test_names_of_classes_and_title(fetch: Fetch, tmp_path: Path) -> None:
    folder, clothes = tmp_path / "fashion", ["T-shirt/top", "Hose", "Ünder"]
    mnist(folder)
    plain = fetch(folder=folder)
    named = fetch(folder=folder, category_names=clothes)
    assert names(named) == clothes
    for old, new in zip(plain["categories"], named["categories"], strict=True):
        assert old["sha256"] == new["sha256"]
    (folder / "labels.txt").write_text("\ufeff" + "\r\n".join(clothes) + "\n\n", "utf-8")
    assert names(fetch(folder=folder)) == clothes
    assert names(fetch(folder=folder, category_names=["a", "b", "c"])) == ["a", "b", "c"]
    titled = fetch(folder=folder, title="Fashion-MNIST", categories=clothes[:2])
    assert titled["source"] == "Fashion-MNIST"
    assert "Fashion-MNIST" in titled["attribution"]
    (folder / "labels.txt").write_text("2: a 2\n0 b\n1. c\n")
    assert names(fetch(folder=folder)) == ["b", "c", "a 2"]
    has = "mnist has 3 labels, 0 to 2; give each one name"
    refused = fetch.refused(folder=folder, category_names=["a", "b"])
    assert f"data.category_names: 2 names ('a' to 'b'), but {has}" in refused
    for text, message in {
        "": "labels.txt: not a name of a category a line (an empty file); mend it",
        "a\n2 fish\nb": "(1 of 3 begin with a number, not each with another of 0 to 2)",
        "1 a\n2 b\n3 c": "(3 of 3 begin with a number, not each with another of 0 to 2)",
        "a\nb": f"labels.txt: 2 names ('a' to 'b'), but {has}",
        "#x\na\nb\nc": "labels.txt: 4 names ('#x' to 'c')",
        "a\nb\na": "labels.txt: not a name of a category a line (two are named 'a')",
        "a\nb\nc\nd": "labels.txt: 4 names ('a' to 'd'), but mnist has 3 labels, 0 to 2",
    }.items():
        (folder / "labels.txt").write_text(text)
        assert message in fetch.refused(folder=folder)
    assert names(fetch(folder=folder, categories=["a", "c"])) == ["a", "c"]
    (folder / "labels.txt").unlink()
    (folder / "labels.txt").mkdir()
    assert "labels.txt: cannot be read (Is a directory)" in fetch.refused(folder=folder)


def test_emnist_and_qmnist_side_by_side(
    fetch: Fetch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, letters = tmp_path / "sets", pictures(TRAIN)
    for split in ("train", "test"):
        put(folder, f"emnist-letters-{split}-images-idx3-ubyte.gz", idx(letters))
        put(folder, f"emnist-letters-{split}-labels-idx1-ubyte.gz", idx(TRAIN + np.uint8(1)))
        many = np.stack([TRAIN.astype(np.int32), *[np.full(8, -7, np.int32)] * 7], axis=1)
        put(folder, f"qmnist-{split}-images-idx3-ubyte.gz", idx(letters))
        put(folder, f"qmnist-{split}-labels-idx2-int.gz", idx(many))
    put(folder, "emnist-letters-mapping.txt", b"1 65 97\r\n2 66 98\n3 67\n\n")
    assert "set data.dataset to one of emnist-letters, qmnist" in fetch.refused(folder=folder)
    message = fetch.refused(folder=folder, dataset="emnist-leters")
    assert "did you mean emnist-letters?" in message

    turned = fetch(folder=folder, dataset="emnist-letters")
    assert turned["shape"] == [5, 4, 1]
    assert names(turned) == ["Aa", "Bb", "C"]
    upright = fetch.images(turned, "Aa")[:3, ..., 0].transpose(0, 2, 1)
    assert np.array_equal(upright, letters[TRAIN == 0])
    assert "upright" in turned["attribution"]
    assert "upright" in capsys.readouterr().err

    plain = fetch(folder=folder, dataset="QMNIST")
    assert names(plain) == ["0", "1", "2"]
    assert np.array_equal(fetch.images(plain, "0")[:3, ..., 0], letters[TRAIN == 0])
    assert "upright" not in capsys.readouterr().err

    put(folder, "emnist-letters-mapping.txt", b"1 65\n2 66")
    message = fetch.refused(folder=folder, dataset="emnist-letters")
    assert "label 3 is out of range: emnist-letters-mapping.txt has 1 to 2" in message
    twins = (b"1 65\n1 66", b"1 65\n2 65")
    for wrong in (*twins, b"1", b"one 65", b"1 7", b"-1 65", b"1 \xff", b"1 -1"):
        put(folder, "emnist-letters-mapping.txt", wrong)
        message = fetch.refused(folder=folder, dataset="emnist-letters")
        assert "emnist-letters-mapping.txt: not EMNIST's table" in message


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"train_labels": TRAIN[:-1]}, "holds 8 images, train-labels-idx1-ubyte 7 labels"),
        ({"t10k_labels": TEST + np.uint8(1)}, "label 3 is out of range: train has 0 to 2"),
        ({"train_labels": TRAIN * np.uint8(2)}, "label 4 is out of range: no image has label 1"),
        ({"t10k_labels": np.array([2, 2, 1, 1, 1], np.uint8)}, "no images of '0' in test"),
        ({"train_labels": TRAIN.astype(np.int32)}, "holds int32 [8]; labels are uint8 [n], or"),
        ({"train_labels": TRAIN.astype(np.int8)}, "holds int8 [8]; labels are uint8 [n], or int32"),
        ({"train_labels": np.full((8, 8), -3, np.int32)}, "label -3 is out of range (0 to 999)"),
        ({"train_images": pictures(TRAIN, 4, 4)}, "images of [4, 4] pixels in train and of [4, 5]"),
        (
            {"train_images": pictures(TRAIN).astype(np.float32)},
            "holds float32 [8, 4, 5]; images",
        ),
        ({"train_images": pictures(TRAIN)[..., None]}, "holds uint8 [8, 4, 5, 1]; images are"),
        ({"train_labels": TRAIN[:0], "train_images": pictures(TRAIN[:0])}, "holds no labels: its"),
        ({"train_labels": TRAIN * np.uint8(0), "t10k_labels": TEST * np.uint8(0)}, "only the cat"),
    ],
)
def test_files_that_disagree_are_named(
    fetch: Fetch, tmp_path: Path, arrays: dict[str, NDArray[Any]], message: str
) -> None:
    mnist(tmp_path / "files", "", False, **arrays)
    assert message in fetch.refused(folder=tmp_path / "files")


def test_what_cannot_be_had_is_said(
    fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "files"

    def refused(**data: Any) -> str:
        return fetch.refused(folder=folder, **data)

    assert "data.folder: no folder that can be read" in refused()
    folder.mkdir()
    assert "holds no files in MNIST's format; it needs train-images-idx3-ubyte" in refused()
    mnist(folder / "inner")
    assert "'inner' inside it has some" in refused()
    mnist(folder)
    message = refused(categories=("1", "3"))
    assert "not all are in mnist\n  '3': no such category\n  it has '0', '1', '2'" in message
    assert "data.test_per_category: 3 asked for, fewer are in" in refused(test_per_category=3)
    assert "lower it to 2\n  '1' in train: 2" in refused(drawings_per_category=3)
    assert "data.image_size: the images of mnist are 5×4 pixels" in refused(image_size=28)  # noqa: RUF001
    with monkeypatch.context() as patched:
        patched.setattr("quickspine.space.RESERVE", 1 << 60)
        with pytest.raises(NoSpaceError, match=r"lower data\.drawings_per_category"):
            fetch(folder=folder)
    for content, what in ((b"\n<!DOCTYPE html><html>", "a web page (HTML)"), (b"BZh", "a bzip2")):
        put(folder, "train-labels-idx1-ubyte.gz", content, packed=False)
        assert f"train-labels-idx1-ubyte.gz: not in MNIST's format: {what}" in refused()
    put(folder, "train-labels-idx1-ubyte.gz", gzip.compress(idx(TRAIN)))
    assert "train-labels-idx1-ubyte.gz: gzipped twice; unpack it once" in refused()
    put(folder, "train-labels-idx1-ubyte.gz", idx(TRAIN))
    put(folder, "t10k-images-idx3-ubyte", idx(pictures(TEST)))  # beside the packed one: no matter
    put(folder, "test-labels-idx1-ubyte.gz", idx(TEST))
    assert "are both labels of mnist's test split; keep one" in refused()
    (folder / "test-labels-idx1-ubyte.gz").unlink()
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    assert "lacks the like of t10k-labels-idx1-ubyte" in refused()


ARRAYS = st.tuples(
    st.sampled_from(["uint8", "int32"]),
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
).map(lambda of: np.arange(np.prod(of[1])).astype(of[0]).reshape(of[1]))


def read(content: bytes, packed: bool = False) -> NDArray[Any]:
    """All rows of a file; its name says nothing of how it is packed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file" if packed else "file.gz")
        path.write_bytes(content)
        with IdxFile(path) as file:
            return np.concatenate([np.zeros((0, *file.shape[1:]), file.dtype), *file.blocks()])


@given(ARRAYS, st.booleans(), st.data())
def test_a_whole_file_is_read_and_no_part_passes_for_it(
    array: NDArray[Any], packed: bool, data: st.DataObject
) -> None:
    content = gzip.compress(idx(array)) if packed else idx(array)
    assert np.array_equal(read(content, packed), array)
    cut = data.draw(st.integers(0, len(content) - 1))
    for wrong in (content[:cut], content + b"?"):
        with pytest.raises(InputError, match="fetch the file anew"):
            read(wrong, packed)


@given(st.binary(max_size=40), st.booleans())
def test_no_bytes_end_in_anything_else(tail: bytes, known: bool) -> None:
    """Whatever a header claims, an array of its shape comes, or an error that names the file."""
    content = b"\0\0\x08\x03" + tail if known else tail
    with contextlib.suppress(InputError):
        array = read(content)
        again = idx(array.astype(array.dtype.newbyteorder("=")))
        assert again == (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content)


@given(st.data())
def test_a_damaged_gzip_never_passes(data: st.DataObject) -> None:
    """Its checksum is looked at with the last row."""
    array = np.arange(60, dtype=np.uint8).reshape(10, 6)
    content = bytearray(gzip.compress(idx(array), mtime=0))
    at = data.draw(st.integers(10, len(content) - 1))  # from 10 on: before stands what is ignored
    content[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(InputError, match="fetch the file anew"):
        read(bytes(content), packed=True)
