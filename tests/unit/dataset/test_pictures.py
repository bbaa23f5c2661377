"""Pictures: from a raw folder of archives to batches, through all that lies between."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

from quickspine.dataset.prepare.subset import preprocess
from quickspine.dataset.records import write as written
from quickspine.dataset.records.reader import RecordSet, open_records, resized
from quickspine.errors import InputError
from quickspine.files import read_json, write_json
from quickspine.params import SPLITS
from quickspine.sources.storage.writing import Pictures, entry

SIDE, COUNT = 16, 60
OWN = {"data.source": "folder", "data.folder": "photographs", "data.categories": None}
COLOURS = {"red": (200, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 200)}


def picture(colour: tuple[int, int, int], number: int) -> bytes:
    """A JPEG or PNG of its own size, whose upper left quarter is white."""
    random = np.random.default_rng([*colour, number])
    width, height = random.integers(20, 60, 2).tolist()
    image = Image.new("RGB", (width, height), colour)
    image.paste((255, 255, 255), (0, 0, width // 2, height // 2))
    image.putpixel((width - 1, height - 1), (number, number, number))  # no two are equal
    buffer = io.BytesIO()
    image.save(buffer, "PNG" if number % 3 == 0 else "JPEG", quality=90)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    entries = []
    for label, (name, colour) in enumerate(COLOURS.items()):
        with Pictures(folder / f"{label:05d}.zip") as file:
            for number in range(COUNT):
                content = picture(colour, number)
                file.append(content)
        entries.append(vars(entry(name, file, "made up", {"train": 40, "test": 20})))
    manifest = {
        "source": "folder folder",
        "synthetic": True,
        "licence": "none",
        "attribution": "none",
    }
    manifest |= {"shape": [SIDE, SIDE, 3], "encoding": "pictures", "categories": entries}
    write_json(folder / "manifest.json", manifest)
    return folder


@pytest.fixture(scope="module")
def place(raw: Path, make_params: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    params = make_params({**OWN, "data.drawings_per_category": COUNT})
    folder = tmp_path_factory.mktemp("pictures")
    preprocess(params, raw, folder / "subset")
    small = params.records.model_copy(update={"shard_mebibytes": 0.01})  # several shards
    written.write(small, raw, folder / "subset", folder / "records")
    return folder


@pytest.fixture(scope="module")
def records(place: Path) -> RecordSet:
    return open_records(place / "records")


def batches(data: Any) -> list[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    return [(images.numpy(), labels.numpy()) for images, labels in data]


def test_the_source_s_test_split_is_kept_and_every_picture_is_there_once(
    records: RecordSet,
) -> None:
    assert records.shape == (SIDE, SIDE, 3)
    assert records.categories == list(COLOURS)
    assert records.examples("test") == 60
    assert records.examples("train") + records.examples("validation") == 120
    assert records.examples("validation") > 0
    assert len(records.shards("train")) > 2
    contents = set()
    for split in SPLITS:
        for serialised in tf.data.TFRecordDataset(records.shards(split)).as_numpy_iterator():
            example = tf.train.Example.FromString(serialised)
            image = example.features.feature["image"].bytes_list.value[0]
            label = example.features.feature["label"].int64_list.value[0]
            contents.add((int(label), image))
    expected = {
        (label, picture(colour, number))
        for label, colour in enumerate(COLOURS.values())
        for number in range(COUNT)
    }
    assert contents == expected


def test_records_of_another_folder_are_refused(place: Path, make_params: Any) -> None:
    asked = {**OWN, "data.drawings_per_category": None}
    open_records(place / "records", make_params({**asked, "data.folder": "a/folder"}).data)
    with pytest.raises(InputError, match="while the params ask for folder others"):
        open_records(place / "records", make_params({**asked, "data.folder": "others"}).data)


def test_pictures_are_decoded_resized_and_labelled(records: RecordSet) -> None:
    found = batches(records.ordered("test", 16))
    assert [len(labels) for _, labels in found] == [16, 16, 16, 12]
    images = np.concatenate([images for images, _ in found])
    labels = np.concatenate([labels for _, labels in found])
    assert images.shape == (60, SIDE, SIDE, 3)
    assert images.dtype == np.uint8
    assert np.bincount(labels).tolist() == [20, 20, 20]
    assert (images[:, 2:5, 2:5] > 240).all()  # the upper left quarter
    expected = np.array(list(COLOURS.values()))[labels]
    middle = images[:, 11, 11].astype(int)
    assert np.abs(middle - expected).max() < 12  # JPEG


def test_resizing_takes_all_pixels_into_account() -> None:
    """A chessboard of single pixels becomes grey, not black or white."""
    board = np.indices((64, 64)).sum(axis=0) % 2 * 255
    image = np.repeat(board[..., None], 3, axis=2).astype(np.uint8)
    found = resized(image, (16, 16, 3)).numpy()
    assert found.min() > 100
    assert found.max() < 155
    np.testing.assert_array_equal(resized(image, (64, 64, 3)), image)


@pytest.mark.parametrize("change", ["count", "bytes", "gone"])
def test_a_raw_archive_that_is_another_is_named(
    raw: Path, make_params: Any, tmp_path: Path, change: str
) -> None:
    folder = tmp_path / "raw"
    folder.mkdir()
    for path in raw.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    archive, manifest = folder / "00001.zip", read_json(folder / "manifest.json", "fetch")
    if change == "count":
        manifest["categories"][1] |= {"rows": 59, "splits": {"train": 39, "test": 20}}
        write_json(folder / "manifest.json", manifest)
    elif change == "bytes":
        content = bytearray(archive.read_bytes())
        content[100] ^= 1
        archive.write_bytes(bytes(content))
    else:
        archive.unlink()
    params = make_params({**OWN, "data.drawings_per_category": 10})
    with pytest.raises(InputError, match=r"00001\.zip: .*run: dvc repro -f fetch"):
        preprocess(params, folder, tmp_path / "subset")
    assert not (tmp_path / "subset").exists()
