"""tensorflow-datasets as a source, on data sets prepared here in the builders' own formats."""

from __future__ import annotations

import io
import socket
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from quickspine.errors import InputError
from quickspine.params import Data
from quickspine.sources import Collection
from quickspine.sources import tfds as source
from quickspine.sources.tfds import builders as start
from quickspine.sources.tfds.content import select_splits

Rng = np.random.Generator
Example = dict[str, Any]

# Parts of TensorFlow's and tfds's own imports.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore:.*SyntaxWarning", "ignore::FutureWarning"
)


@pytest.fixture(scope="module")
def library() -> Iterator[Any]:
    with start.start_tfds() as found:
        yield found


def encoded(rng: Rng, height: int, width: int, mode: str = "RGB", kind: str = "JPEG") -> bytes:
    channels = {"L": (), "RGB": (3,), "CMYK": (4,)}[mode]
    pixels = rng.integers(0, 256, (height, width, *channels), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, kind) if mode != "CMYK" else Image.frombytes(
        "CMYK", (width, height), pixels.tobytes()
    ).save(file, kind)
    return file.getvalue()


def prepared(library: Any, root: Path, dataset: str, splits: dict[str, list[Example]]) -> Any:
    """A data set written by tfds in its builder's own format, of these examples."""
    builder = start.find_builder(library, dataset, str(root))
    builder._split_generators = lambda _: {
        name: list(enumerate(examples)) for name, examples in splits.items()
    }
    builder.download_and_prepare(
        download_config=library.download.DownloadConfig(try_download_gcs=False)
    )
    return builder


def asked(dataset: str, root: Path, **others: Any) -> Data:
    values = {
        "source": "tfds",
        "dataset": dataset,
        "folder": str(root),
        "categories": None,
        "drawings_per_category": None,
        "mirror": "nowhere",
        "seed": 1,
    }
    return Data.model_validate(values | others)


def fetched(data: Data, folder: Path) -> Collection:
    folder.mkdir()
    return source.fetch(data, folder)


def rows(folder: Path, collection: Collection, number: int) -> NDArray[np.uint8]:
    found: NDArray[np.uint8] = np.load(folder / collection.entries[number].file)
    return found.reshape(-1, *collection.shape)


LARGE = {"oxford_flowers102", "imagenette/160px"}
SHAPES = {"cifar100": (32, 32, 3), "svhn_cropped": (32, 32, 3), "stl10": (96, 96, 3)}
SPLITS = {  # the builder's own, in its own order
    "oxford_flowers102": ["train", "test", "validation"],
    "svhn_cropped": ["train", "test", "extra"],
    "stl10": ["train", "test", "unlabelled"],
    "quickdraw_bitmap": ["train"],
    "imagenette/160px": ["train", "validation"],
}
KEPT = {  # ours, of each category
    "oxford_flowers102": {"train": 2, "validation": 2, "test": 2},
    "quickdraw_bitmap": None,
}
LABELS = {"emnist/letters": (1, 26), "emnist/byclass": (0, 36), "emnist/balanced": (0, 46)}
NAMES = {  # of the first two categories drawn: labels 0 and 2, or those above
    "mnist": ("0", "2"),
    "emnist/byclass": ("0", "a"),
    "emnist/balanced": ("0", "t"),
    "emnist/letters": ("a", "z"),
    "cifar100": ("apple", "baby"),
    "svhn_cropped": ("0", "2"),
    "stl10": ("airplane", "car"),
    "oxford_flowers102": ("pink primrose", "canterbury bells"),
    "imagenette/160px": ("n01440764", "n02979186"),
    "quickdraw_bitmap": ("aircraft carrier", "alarm clock"),
}
FOUND_LATER = {  # class names that the builder finds in what it downloads
    "cifar100": ["apple", "aquarium_fish", "baby", *(f"kind {n}" for n in range(97))],
    "stl10": ["airplane", "bird", "car", *(f"kind {n}" for n in range(7))],
}


@pytest.mark.parametrize("dataset", NAMES)
def test_each_builder_gives_its_images_by_name_and_split(
    library: Any, tmp_path: Path, dataset: str
) -> None:
    rng = np.random.default_rng(len(dataset))
    large, shape = dataset in LARGE, SHAPES.get(dataset, (28, 28, 1))
    labels = LABELS.get(dataset, (0, 2))

    def image(label: int) -> Any:
        if large:
            return io.BytesIO(encoded(rng, 20 + label % 7, 30))
        return rng.integers(0, 256, shape, dtype=np.uint8)

    builder = start.find_builder(library, dataset, str(tmp_path))
    if dataset in FOUND_LATER:
        builder.info.features["label"].names = FOUND_LATER[dataset]
    # What the builder has beside image and label
    filler = {
        "id": "one", "file_name": "one.jpg", "image/file_name": "one.jpg", "coarse_label": 1,
    }  # fmt: skip
    others = {key: filler[key] for key in builder.info.features if key not in ("image", "label")}
    written = {
        split: [
            {"image": image(label), "label": -1 if split == "unlabelled" else label} | others
            for label in labels * 2
        ]
        for split in SPLITS.get(dataset, ["train", "test"])
    }
    pictures = {
        split: [each["image"].getvalue() if large else each["image"] for each in examples]
        for split, examples in written.items()
    }
    builder._split_generators = lambda _: {
        name: list(enumerate(examples)) for name, examples in written.items()
    }
    builder.download_and_prepare(
        download_config=library.download.DownloadConfig(try_download_gcs=False)
    )

    data = asked(dataset, tmp_path, image_size=64 if large else None)
    folder = tmp_path / "raw"
    found = fetched(data, folder)

    # An example's place in tfds's files is by a hash of its key: the order is tfds's own.
    assert tuple(entry.category for entry in found.entries) == NAMES[dataset]
    extension = "zip" if large else "npy"
    assert [entry.file for entry in found.entries] == [f"0000{n}.{extension}" for n in (0, 1)]
    kept = KEPT.get(dataset, {"train": 2, "test": 2})
    assert [entry.splits for entry in found.entries] == [kept, kept]
    assert found.shape == ((64, 64, 3) if large else shape)
    assert found.encoding == ("pictures" if large else "raw")
    theirs = {split: split for split in kept} if kept else {"train": "train"}
    if dataset.startswith("imagenette"):
        theirs["test"] = "validation"
    for number, entry in enumerate(found.entries):
        assert entry.rows == 2 * len(theirs)
        assert builder.info.full_name in entry.url
        got = _images(folder, found, number)
        for position, split in enumerate(theirs.values()):
            sent = [each for at, each in enumerate(pictures[split]) if at % 2 == number]
            if dataset.startswith("emnist"):
                sent = [each.transpose(1, 0, 2) for each in sent]
            assert sorted(got[2 * position : 2 * position + 2]) == sorted(
                each if large else each.tobytes() for each in sent
            )
    assert builder.info.homepage in str(found.attribution)


def _images(folder: Path, found: Collection, number: int) -> list[bytes]:
    if found.encoding == "raw":
        return [each.tobytes() for each in rows(folder, found, number)]
    with zipfile.ZipFile(folder / found.entries[number].file) as archive:
        assert archive.namelist() == [f"{n:07d}.jpg" for n in range(len(archive.namelist()))]
        return [archive.read(name) for name in archive.namelist()]


def test_imagenet_is_prepared_from_the_files_that_were_put_there(
    library: Any, tmp_path: Path
) -> None:
    rng, manual = np.random.default_rng(1), tmp_path / "downloads" / "manual"
    manual.mkdir(parents=True)
    data = asked("imagenet2012", tmp_path, image_size=32)
    with pytest.raises(InputError, match=r"image-net\.org.*Missing: .*train.tar, .*val.tar"):
        fetched(data, tmp_path / "none")

    # Two that tfds knows to be CMYK and PNG by name, beside plain ones
    train = {
        "n01739381": {
            "n01739381_1.JPEG": encoded(rng, 20, 30),
            "n01739381_1309.JPEG": encoded(rng, 20, 30, "CMYK"),
        },
        "n02105855": {
            "n02105855_1.JPEG": encoded(rng, 10, 10, "L"),
            "n02105855_2933.JPEG": encoded(rng, 10, 12, kind="PNG"),
        },
    }
    archives = {name: _tar(files) for name, files in train.items()}
    (manual / "ILSVRC2012_img_train.tar").write_bytes(
        _tar({f"{name}.tar": archive for name, archive in archives.items()})
    )
    with pytest.raises(InputError, match=r"Missing: ILSVRC2012_img_val\.tar"):
        fetched(data, tmp_path / "half")
    validation = {f"ILSVRC2012_val_{number:08d}.JPEG": encoded(rng, 8, 9) for number in range(1, 4)}
    (manual / "ILSVRC2012_img_val.tar").write_bytes(_tar(validation))
    unlabelled = {"ILSVRC2012_test_00000001.JPEG": encoded(rng, 8, 8)}
    (manual / "ILSVRC2012_img_test.tar").write_bytes(_tar(unlabelled))

    folder = tmp_path / "raw"
    found = fetched(data, folder)

    # Validation images have the labels that tfds holds for the first three of them.
    assert (found.encoding, found.shape) == ("pictures", (32, 32, 3))
    assert {entry.category: entry.splits for entry in found.entries} == {
        "n01739381": {"train": 2, "test": 0},
        "n01751748": {"train": 0, "test": 1},
        "n02105855": {"train": 2, "test": 1},
        "n09193705": {"train": 0, "test": 1},
    }
    for number, entry in enumerate(found.entries):
        for content in _images(folder, found, number):
            image = library.core.utils.image_utils.tf.io.decode_image(content, channels=3)
            assert image.shape.as_list()[2:] == [3], entry


def _tar(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, each in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(each)
            archive.addfile(info, io.BytesIO(each))
    return content.getvalue()


def test_images_of_many_sizes_are_kept_as_files_or_refused_as_pixels(
    library: Any, tmp_path: Path
) -> None:
    rng = np.random.default_rng(2)

    def image(height: int, label: int, mode: str = "RGB") -> Example:
        content = io.BytesIO(encoded(rng, height, 9, mode))
        return {"image": content, "label": label, "file_name": "one.jpg"}

    builder = prepared(
        library,
        tmp_path,
        "oxford_flowers102",
        {
            "train": [*(image(9, n % 3) for n in range(6)), image(9, 0, "CMYK")],
            "validation": [image(9, 1)],
            "test": [image(10, 2)],
        },
    )
    names = builder.info.features["label"].names[:3]
    with pytest.raises(InputError, match=r"data\.image_size.*9 x 9 .*10 x 9.* pixels"):
        fetched(asked("oxford_flowers102", tmp_path), tmp_path / "raw")
    found = fetched(asked("oxford_flowers102", tmp_path, image_size=8), tmp_path / "files")
    assert [entry.category for entry in found.entries] == names
    splits = [entry.splits for entry in found.entries]
    assert splits == [
        {"train": 3, "validation": 0, "test": 0},
        {"train": 2, "validation": 1, "test": 0},
        {"train": 2, "validation": 0, "test": 1},
    ]
    # What reads them makes three channels of a CMYK JPEG too.
    decode = library.core.utils.image_utils.tf.io.decode_image
    for content in _images(tmp_path / "files", found, 0):
        assert decode(content, channels=3).shape == (9, 9, 3)


def test_categories_and_numbers_of_images_as_asked_for(
    library: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(3)

    def examples(*labels: int) -> list[Example]:
        return [
            {"image": rng.integers(0, 256, (28, 28, 1), dtype=np.uint8), "label": label}
            for label in labels
        ]

    splits = {"train": examples(0, 1, 1, 1, 2, 2, 2, 2, 3), "test": examples(0, 1, 1, 2, 2, 2)}
    prepared(library, tmp_path, "mnist", splits)

    def fetch(number: str, **others: Any) -> Collection:
        return fetched(asked("mnist", tmp_path, **others), tmp_path / number)

    two = {"categories": ("2", "1"), "drawings_per_category": 2, "test_per_category": 2}
    found = fetch("a", **two)
    assert [(each.category, each.file, each.splits) for each in found.entries] == [
        ("2", "00000.npy", {"train": 2, "test": 2}),
        ("1", "00001.npy", {"train": 2, "test": 2}),
    ]
    assert fetch("b", **two) == found, "always the same images"
    everything = fetch("c")
    assert "warning: no images of '3' in test" in capsys.readouterr().err
    np.testing.assert_array_equal(  # the first ones of each split
        rows(tmp_path / "a", found, 0),
        rows(tmp_path / "c", everything, 2)[[0, 1, 4, 5]],
    )
    with pytest.raises(InputError, match=r"3 asked for, .*\n  '0' in train: 1\n"):
        fetch("d", drawings_per_category=3)
    less = fetch("e", drawings_per_category=3, allow_fewer=True)
    assert [each.splits for each in less.entries] == [  # the test split is whole
        {"train": 1, "test": 1},
        {"train": 3, "test": 2},
        {"train": 3, "test": 3},
        {"train": 1, "test": 0},
    ]
    with pytest.raises(InputError, match=r"mnist/3.0.1\n  '11': no such category.*'1'"):
        fetch("f", categories=("11", "0"))
    with pytest.raises(InputError, match=r"no images of '7'; leave such out"):
        fetch("g", categories=("7", "0"))
    with pytest.raises(InputError, match=r"data\.image_size: .* 28 x 28 .* Received: 32"):
        fetch("h", image_size=32)
    assert fetch("i", image_size=28) == everything


def test_damaged_records_are_named(library: Any, tmp_path: Path) -> None:
    image = np.zeros((28, 28, 1), dtype=np.uint8)
    builder = prepared(
        library, tmp_path, "mnist", {"train": [{"image": image, "label": n} for n in range(4)]}
    )
    (record,) = Path(builder.data_dir).glob("*tfrecord*")
    content = bytearray(record.read_bytes())
    content[len(content) // 2] ^= 0xFF
    record.write_bytes(content)
    with pytest.raises(InputError, match=r"mnist.3\.0\.1: damaged .*remove it"):
        fetched(asked("mnist", tmp_path), tmp_path / "raw")


@pytest.mark.parametrize(
    ("dataset", "told"),
    [
        ("mnst", r"no builder 'mnst'; did you mean .*mnist"),
        ("zzzzzzzz", r"no builder 'zzzzzzzz'; a name or name/config is needed, without a version"),
        ("fashion-mnist", r"no builder 'fashion-mnist'; did you mean fashion_mnist"),
        ("cifar-10", r"no builder 'cifar-10'; did you mean .*cifar10"),
        ("3mnist", r"no builder '3mnist'; did you mean .*mnist"),
        ("mnist/3.0.1", r"mnist has no configuration '3.0.1'; .*none: write mnist"),
        ("emnist/lettrs", r"no configuration 'lettrs'; did you mean letters\?; .*balanced"),
        ("emnist", r"emnist has several configurations; write emnist/ and one of 'balanced', "),
        ("mnist/all", r"mnist has no configuration 'all'; .*none: write mnist"),
        ("imdb_reviews", r"no image classification.*text \(Text\), label \(ClassLabel\)"),
        ("i_naturalist2021", r"the builder i_naturalist2021 does not start \(.*No such file"),
        ("imagenet2012_real", r"no image classification.*real_label \(Sequence\)"),
    ],
)
def test_what_is_no_image_classification(
    library: Any, tmp_path: Path, dataset: str, told: str
) -> None:
    assert library
    with pytest.raises(InputError, match=told):
        fetched(asked(dataset, tmp_path), tmp_path / "raw")


@pytest.fixture
def offline(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody answers: a proxy that refuses every connection, asked once."""
    assert library
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        proxy = f"http://127.0.0.1:{free.getsockname()[1]}"
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, proxy)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setattr(start, "ATTEMPTS", 0)


@pytest.mark.usefixtures("offline")
def test_without_a_network_it_says_what_belongs_where(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError) as error:
        fetched(asked("mnist", tmp_path), tmp_path / "raw")
    told = str(error.value)
    for part in ("mnist/3.0.1 cannot be downloaded: ", "check the network", "train-images-idx3"):
        assert part in told
    assert str(tmp_path / "downloads" / "manual") in told
    out, shown = capfd.readouterr()
    assert not out
    assert shown.splitlines() == [
        "fetch: tensorflow-datasets downloads and prepares mnist/3.0.1 (from 23.2 MB) in "
        f"{tmp_path}"
    ]


@pytest.mark.usefixtures("offline")
def test_a_wrong_file_where_a_download_belongs_is_named_with_both_sizes(tmp_path: Path) -> None:
    manual = tmp_path / "downloads" / "manual"
    manual.mkdir(parents=True)
    (manual / "gzip.zip").write_bytes(b"<!DOCTYPE html><html>Log in</html>")
    with pytest.raises(InputError) as error:
        fetched(asked("emnist/letters", tmp_path), tmp_path / "raw")
    message = str(error.value)
    assert f"{manual}/gzip.zip is not the file of https://" in message
    assert "it is a web page (HTML) and has 34 bytes, 561,753,746 are expected" in message
    assert "download" not in message.replace("downloads/manual", "").partition(" bytes")[2]


def test_which_splits_are_used() -> None:
    use: Callable[..., dict[str, str]] = lambda **found: select_splits(found, "some")  # noqa: E731
    assert use(train=True) == {"": "train"}
    assert use(train=True, test=False) == {"": "train"}
    assert use(test=True, unlabelled=False) == {"": "test"}
    assert use(train=True, extra=True) == {"": "train"}
    every = {"train": "train", "validation": "validation", "test": "test"}
    assert list(use(test=True, validation=True, train=True).items()) == list(every.items())
    assert use(train=True, test=False, validation=True) == {"train": "train", "test": "validation"}
    for wrong in ({}, {"test": True, "validation": True}, {"train": False}):
        with pytest.raises(InputError, match="no split with labels to train on"):
            use(**wrong)
