"""tensorflow-datasets as a source, on data sets prepared here in the builders' own formats."""

from __future__ import annotations

import io
import re
import socket
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from quickspine.errors import InputError
from quickspine.sources.tfds import builders as start
from quickspine.sources.tfds.content import select_splits
from tests.unit.sources.conftest import Fetch, names, splits

SOURCE = "tfds"
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
    Image.frombytes(mode, (width, height), pixels.tobytes()).save(file, kind)
    return file.getvalue()


def prepared(library: Any, builder: Any, examples: dict[str, list[Example]]) -> Any:
    """A data set of these examples by split, written by tfds in its builder's own format."""
    builder._split_generators = lambda _: {
        name: list(enumerate(some)) for name, some in examples.items()
    }
    builder.download_and_prepare(
        download_config=library.download.DownloadConfig(try_download_gcs=False)
    )
    return builder


@dataclass
class Kind:
    """A builder, and what is kept of two labels' images, two in each of its splits."""

    names: tuple[str, str]
    labels: tuple[int, int] = (0, 2)
    shape: tuple[int, int, int] = (28, 28, 1)
    splits: tuple[str, ...] = ("train", "test")  # the builder's own, in its own order
    kept: dict[str, str] | None = field(default_factory=lambda: {"train": "train", "test": "test"})
    found_later: int = 0  # class names, which the builder finds in what it downloads
    large: bool = False


KINDS = {
    "mnist": Kind(("0", "2")),
    "emnist/byclass": Kind(("0", "a"), (0, 36)),
    "emnist/balanced": Kind(("0", "t"), (0, 46)),
    "emnist/letters": Kind(("a", "z"), (1, 26)),
    "cifar100": Kind(("kind 0", "kind 2"), shape=(32, 32, 3), found_later=100),
    "svhn_cropped": Kind(("0", "2"), shape=(32, 32, 3), splits=("train", "test", "extra")),
    "stl10": Kind(
        ("kind 0", "kind 2"),
        shape=(96, 96, 3),
        splits=("train", "test", "unlabelled"),
        found_later=10,
    ),
    "oxford_flowers102": Kind(
        ("pink primrose", "canterbury bells"),
        splits=("train", "test", "validation"),
        kept={"train": "train", "validation": "validation", "test": "test"},
        large=True,
    ),
    "imagenette/160px": Kind(
        ("n01440764", "n02979186"),
        splits=("train", "validation"),
        kept={"train": "train", "test": "validation"},
        large=True,
    ),
    "quickdraw_bitmap": Kind(("aircraft carrier", "alarm clock"), splits=("train",), kept=None),
}
# What a builder has beside image and label
FILLER = {"id": "1", "file_name": "1.jpg", "image/file_name": "1.jpg", "coarse_label": 1}


@pytest.mark.parametrize("dataset", KINDS)
def test_each_builder_gives_its_images_by_name_and_split(
    library: Any, fetch: Fetch, tmp_path: Path, dataset: str
) -> None:
    rng, kind = np.random.default_rng(len(dataset)), KINDS[dataset]
    large = kind.large

    def image(label: int) -> Any:
        if large:
            return io.BytesIO(encoded(rng, 20 + label % 7, 30))
        return rng.integers(0, 256, kind.shape, dtype=np.uint8)

    builder = start.find_builder(library, dataset, str(tmp_path))
    features = builder.info.features
    if kind.found_later:
        features["label"].names = [f"kind {number}" for number in range(kind.found_later)]
    others = {key: FILLER[key] for key in features if key not in ("image", "label")}
    written = {
        split: [
            {"image": image(label), "label": -1 if split == "unlabelled" else label} | others
            for label in kind.labels * 2
        ]
        for split in kind.splits
    }
    pictures = {
        split: [each["image"].getvalue() if large else each["image"] for each in examples]
        for split, examples in written.items()
    }
    prepared(library, builder, written)

    manifest = fetch(dataset=dataset, folder=tmp_path, image_size=64 if large else None)

    assert names(manifest) == list(kind.names)
    assert splits(manifest) == [dict.fromkeys(kind.kept, 2) if kind.kept else None] * 2
    assert manifest["shape"] == ([64, 64, 3] if large else list(kind.shape))
    assert manifest["encoding"] == ("pictures" if large else "raw")
    theirs = list(kind.kept.values()) if kind.kept else ["train"]
    for number, entry in enumerate(manifest["categories"]):
        assert entry["rows"] == 2 * len(theirs)
        assert builder.info.full_name in entry["url"]
        if large:
            files = fetch.stored(manifest, number)
            assert list(files) == [f"{each:07d}.jpg" for each in range(entry["rows"])]
            got = list(files.values())
        else:
            got = [each.tobytes() for each in fetch.images(manifest, entry["category"])]
        for position, split in enumerate(theirs):
            sent = pictures[split][number::2]
            if dataset.startswith("emnist"):
                sent = [each.transpose(1, 0, 2) for each in sent]
            # An example's place in tfds's files is by a hash of its key: the order is tfds's own.
            assert sorted(got[2 * position : 2 * position + 2]) == sorted(
                each if large else each.tobytes() for each in sent
            )
    assert builder.info.homepage in manifest["attribution"]


def test_imagenet_is_prepared_from_the_files_that_were_put_there(
    library: Any, fetch: Fetch, tmp_path: Path
) -> None:
    rng, manual = np.random.default_rng(1), tmp_path / "downloads" / "manual"
    manual.mkdir(parents=True)
    asked = {"dataset": "imagenet2012", "folder": tmp_path, "image_size": 32}
    message = fetch.refused(**asked)
    assert "image-net.org" in message
    assert "Missing: ILSVRC2012_img_train.tar, ILSVRC2012_img_val.tar" in message

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
    archives = {f"{name}.tar": _tar(files) for name, files in train.items()}
    (manual / "ILSVRC2012_img_train.tar").write_bytes(_tar(archives))
    assert "Missing: ILSVRC2012_img_val.tar" in fetch.refused(**asked)
    validation = {f"ILSVRC2012_val_{number:08d}.JPEG": encoded(rng, 8, 9) for number in range(1, 4)}
    (manual / "ILSVRC2012_img_val.tar").write_bytes(_tar(validation))
    unlabelled = {"ILSVRC2012_test_00000001.JPEG": encoded(rng, 8, 8)}
    (manual / "ILSVRC2012_img_test.tar").write_bytes(_tar(unlabelled))

    manifest = fetch(**asked)

    # Validation images have the labels that tfds holds for the first three of them.
    assert (manifest["encoding"], manifest["shape"]) == ("pictures", [32, 32, 3])
    assert {entry["category"]: entry["splits"] for entry in manifest["categories"]} == {
        "n01739381": {"train": 2, "test": 0},
        "n01751748": {"train": 0, "test": 1},
        "n02105855": {"train": 2, "test": 1},
        "n09193705": {"train": 0, "test": 1},
    }
    for number in range(4):
        for content in fetch.stored(manifest, number).values():
            image = library.core.utils.image_utils.tf.io.decode_image(content, channels=3)
            assert image.shape.as_list()[2:] == [3]


def _tar(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, each in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(each)
            archive.addfile(info, io.BytesIO(each))
    return content.getvalue()


def test_images_of_many_sizes_are_kept_as_files_or_refused_as_pixels(
    library: Any, fetch: Fetch, tmp_path: Path
) -> None:
    rng = np.random.default_rng(2)

    def image(height: int, label: int, mode: str = "RGB") -> Example:
        content = io.BytesIO(encoded(rng, height, 9, mode))
        return {"image": content, "label": label, "file_name": "one.jpg"}

    train = [*(image(9, n % 3) for n in range(6)), image(9, 0, "CMYK")]
    examples = {"train": train, "validation": [image(9, 1)], "test": [image(10, 2)]}
    asked = {"dataset": "oxford_flowers102", "folder": tmp_path}
    builder = start.find_builder(library, "oxford_flowers102", str(tmp_path))
    prepared(library, builder, examples)
    message = fetch.refused(**asked)
    assert message.startswith("data.image_size: ")
    assert "(9 x 9 and 10 x 9 pixels" in message
    manifest = fetch(image_size=8, **asked)
    assert names(manifest) == builder.info.features["label"].names[:3]
    assert splits(manifest) == [
        {"train": 3, "validation": 0, "test": 0},
        {"train": 2, "validation": 1, "test": 0},
        {"train": 2, "validation": 0, "test": 1},
    ]
    # What reads them makes three channels of a CMYK JPEG too.
    decode = library.core.utils.image_utils.tf.io.decode_image
    for content in fetch.stored(manifest, 0).values():
        assert decode(content, channels=3).shape == (9, 9, 3)


@pytest.fixture
def digits(library: Any, tmp_path: Path) -> dict[str, Any]:
    """The params that ask for a small MNIST."""
    rng = np.random.default_rng(3)

    def examples(*labels: int) -> list[Example]:
        images = rng.integers(0, 256, (len(labels), 28, 28, 1), dtype=np.uint8)
        pairs = zip(images, labels, strict=True)
        return [{"image": image, "label": label} for image, label in pairs]

    made = {"train": examples(0, 1, 1, 1, 2, 2, 2, 2, 3), "test": examples(0, 1, 1, 2, 2, 2)}
    prepared(library, start.find_builder(library, "mnist", str(tmp_path)), made)
    return {"dataset": "mnist", "folder": tmp_path}


def test_categories_and_numbers_of_images_as_asked_for(
    fetch: Fetch, digits: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    everything = fetch(**digits)
    assert "warning: no images of '3' in test" in capsys.readouterr().err
    assert fetch(image_size=28, **digits) == everything
    every = fetch.images(everything, "2")
    two = {"categories": ("2", "1"), "drawings_per_category": 2, "test_per_category": 2}
    manifest = fetch(**two, **digits)
    assert names(manifest) == ["2", "1"]
    assert splits(manifest) == [{"train": 2, "test": 2}] * 2
    first = fetch.images(manifest, "2")
    np.testing.assert_array_equal(first, every[[0, 1, 4, 5]], "the first ones of each split")
    assert fetch(**two, **digits) == manifest, "always the same images"
    less = fetch(drawings_per_category=3, allow_fewer=True, **digits)
    assert splits(less) == [  # the test split is whole
        {"train": 1, "test": 1},
        {"train": 3, "test": 2},
        {"train": 3, "test": 3},
        {"train": 1, "test": 0},
    ]
    message = fetch.refused(drawings_per_category=3, **digits)
    assert "3 asked for, " in message
    assert "\n  '0' in train: 1\n" in message
    message = fetch.refused(categories=("11", "0"), **digits)
    assert "mnist/3.0.1\n  '11': no such category; did you mean '1'" in message
    message = fetch.refused(categories=("7", "0"), **digits)
    assert "no images of '7'; leave such out" in message
    message = fetch.refused(image_size=32, **digits)
    assert message.startswith("data.image_size: ")
    assert "28 x 28 pixels and are kept so; make it null. Received: 32" in message


def test_damaged_records_are_named(fetch: Fetch, digits: dict[str, Any], tmp_path: Path) -> None:
    record = next(tmp_path.glob("mnist/3.0.1/*train.tfrecord*"))
    content = bytearray(record.read_bytes())
    content[len(content) // 2] ^= 0xFF
    record.write_bytes(content)
    message = fetch.refused(**digits)
    assert "mnist/3.0.1: damaged (" in message
    assert "remove it and run this again" in message


@pytest.mark.parametrize(
    ("dataset", "message"),
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
    fetch: Fetch, tmp_path: Path, dataset: str, message: str
) -> None:
    assert re.search(message, fetch.refused(dataset=dataset, folder=tmp_path))


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
    fetch: Fetch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    message = fetch.refused(dataset="mnist", folder=tmp_path)
    for part in ("mnist/3.0.1 cannot be downloaded: ", "check the network", "train-images-idx3"):
        assert part in message
    assert str(tmp_path / "downloads" / "manual") in message
    out, shown = capfd.readouterr()
    assert not out
    assert shown.splitlines() == [
        "fetch: tensorflow-datasets downloads and prepares mnist/3.0.1 (from 23.2 MB) in "
        f"{tmp_path}"
    ]


@pytest.mark.usefixtures("offline")
def test_a_wrong_file_where_a_download_belongs_is_named_with_both_sizes(
    fetch: Fetch, tmp_path: Path
) -> None:
    manual = tmp_path / "downloads" / "manual"
    manual.mkdir(parents=True)
    (manual / "gzip.zip").write_bytes(b"<!DOCTYPE html><html>Log in</html>")
    message = fetch.refused(dataset="emnist/letters", folder=tmp_path)
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
