"""The shards: every drawing once, shuffled over its split, the same bytes again, bounded memory."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from quickspine.dataset.prepare.table import NAME
from quickspine.dataset.records import write as module
from quickspine.dataset.records.tfrecord import records
from quickspine.errors import InputError
from quickspine.files import digest, sha256
from quickspine.params import SPLITS, Records
from tests.unit.dataset.conftest import MakeRaw, MakeSubset, random_drawings, read_subset

SMALL = Records(shard_mebibytes=0.01, seed=1)


def write(params: Records, data: Path, place: Path, workers: int | None = None) -> dict[str, Any]:
    """The records of the raw folder and the subset in `data`."""
    return module.write(params, data / "raw", data / "subset", place, workers)


@pytest.fixture(scope="module")
def data(make_subset: MakeSubset) -> Path:
    drawings = {name: random_drawings(400, seed=len(name)) for name in ("cat", "envelope", "fish")}
    return make_subset(drawings)


@pytest.fixture(scope="module")
def place(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("records") / "records"
    write(SMALL, data, place)
    return place


def manifest(place: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((place / "manifest.json").read_text())
    return found


def examples(path: Path) -> list[tuple[bytes, int]]:
    """Pixels and label of each record of a shard, read by protobuf."""
    found = []
    for serialised in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        feature = tf.train.Example.FromString(serialised).features.feature
        found.append((feature["image"].bytes_list.value[0], feature["label"].int64_list.value[0]))
    return found


def shards(place: Path, split: str) -> list[list[tuple[bytes, int]]]:
    return [examples(place / shard["file"]) for shard in manifest(place)["splits"][split]["shards"]]


def contents(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in place.iterdir()}


@pytest.mark.parametrize("split", SPLITS)
def test_every_drawing_is_written_once_with_its_label(place: Path, data: Path, split: str) -> None:
    written = Counter(example for shard in shards(place, split) for example in shard)
    expected = Counter(
        (drawing.tobytes(), label)
        for label, drawings in enumerate(read_subset(data)[split])
        for drawing in drawings
    )
    assert written == expected
    assert written.total() > 80


def test_the_manifest_says_what_is_there(place: Path, data: Path) -> None:
    found = manifest(place)
    names = ["manifest.json"]
    for split in SPLITS:
        listed = found["splits"][split]["shards"]
        for number, shard in enumerate(listed):
            assert shard["file"] == f"{split}-{number:05d}-of-{len(listed):05d}.tfrecord"
            path = place / shard["file"]
            assert (shard["bytes"], shard["sha256"]) == (path.stat().st_size, sha256(path))
            assert shard["examples"] == len(examples(path))
            names.append(shard["file"])
        total = found["splits"][split]["examples"]
        assert total == sum(shard["examples"] for shard in listed)
        assert total == manifest(data / "subset")["splits"][split]["drawings"]
    assert sorted(path.name for path in place.iterdir()) == sorted(names)
    assert found["categories"] == ["cat", "envelope", "fish"]
    assert found["shape"] == [8, 8, 1]
    assert (found["source"], found["synthetic"]) == ("doodles", True)
    assert found["digest"] == digest({k: v for k, v in found.items() if k != "digest"})


def test_shards_have_about_the_size_asked_for(place: Path) -> None:
    sizes = [shard["bytes"] for shard in manifest(place)["splits"]["train"]["shards"]]
    assert len(sizes) > 5
    assert abs(np.mean(sizes) / (0.01 * 2**20) - 1) < 0.1
    assert max(sizes) < 2 * 0.01 * 2**20


def test_each_shard_mixes_the_whole_split(place: Path, data: Path) -> None:
    """Labels alternate as in a shuffled deck, and neighbours in the subset are torn apart."""
    found = shards(place, "train")
    for shard in found:
        labels = np.array([label for _, label in shard])
        assert np.bincount(labels, minlength=3).min() > 0.15 * len(labels)
        changes = float((labels[1:] != labels[:-1]).mean())
        assert 0.45 < changes < 0.9  # 2/3 expected
    rank = {
        drawing.tobytes(): number
        for drawings in read_subset(data)["train"]
        for number, drawing in enumerate(drawings)
    }
    ranks = np.array([rank[pixels] for shard in found for pixels, _ in shard])
    assert abs(np.corrcoef(ranks, np.arange(len(ranks)))[0, 1]) < 5 / len(ranks) ** 0.5
    assert abs(np.corrcoef(ranks[1:], ranks[:-1])[0, 1]) < 5 / len(ranks) ** 0.5


@pytest.mark.parametrize(("workers", "room"), [(1, 1), (3, 30_000), (2, 1 << 30)])
def test_the_bytes_do_not_depend_on_workers_or_memory(
    place: Path,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    workers: int,
    room: int,
) -> None:
    monkeypatch.setattr(module, "ROOM", room)
    monkeypatch.setattr(module, "PIECE", 7)
    write(SMALL, data, tmp_path / "again", workers)
    assert contents(tmp_path / "again") == contents(place)


def test_another_seed_gives_another_order(place: Path, data: Path, tmp_path: Path) -> None:
    write(Records(shard_mebibytes=0.01, seed=2), data, tmp_path / "other")
    assert manifest(tmp_path / "other")["digest"] != manifest(place)["digest"]
    for split in SPLITS:
        ours = [example for shard in shards(place, split) for example in shard]
        others = [example for shard in shards(tmp_path / "other", split) for example in shard]
        assert ours != others
        assert sorted(ours) == sorted(others)


@pytest.mark.parametrize(("mebibytes", "one"), [(4096.0, True), (1e-9, False)])
def test_there_is_one_shard_at_least_and_one_a_drawing_at_most(
    make_subset: MakeSubset, tmp_path: Path, mebibytes: float, one: bool
) -> None:
    data = make_subset({"cat": random_drawings(40), "zigzag": random_drawings(40, seed=1)})
    write(Records(shard_mebibytes=mebibytes, seed=1), data, tmp_path / "records")
    for split in SPLITS:
        drawings = manifest(data / "subset")["splits"][split]["drawings"]
        found = shards(tmp_path / "records", split)
        assert len(found) == (1 if one else drawings)
        assert sum(map(len, found)) == drawings


@pytest.mark.parametrize("size", [0, 1, 127, 784, 20_000])
@pytest.mark.parametrize("label", [0, 127, 128, 344, 99_999])
def test_a_record_is_what_tensorflow_would_write(tmp_path: Path, size: int, label: int) -> None:
    image = np.random.default_rng(size).bytes(size)
    features = {
        "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image])),
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
    }
    example = tf.train.Example(features=tf.train.Features(feature=features))
    with tf.io.TFRecordWriter(str(tmp_path / "one")) as writer:
        writer.write(example.SerializeToString(deterministic=True))
    assert records([b"x", image], label)[1] == (tmp_path / "one").read_bytes()


@pytest.fixture
def copy(data: Path, tmp_path: Path) -> Path:
    """A copy, to be damaged."""
    return Path(shutil.copytree(data, tmp_path / "data"))


@pytest.mark.parametrize(
    ("name", "remedy"),
    [(f"subset/{NAME}", "preprocess"), ("raw/cat.npy", "fetch"), ("raw/fish.npy", "fetch")],
)
@pytest.mark.parametrize("damage", ["missing", "truncated", "empty", "flipped"])
def test_damage_names_the_file_and_leaves_the_old_records(
    copy: Path, tmp_path: Path, name: str, remedy: str, damage: str
) -> None:
    write(SMALL, copy, tmp_path / "records")
    before = contents(tmp_path / "records")
    path = copy / name
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        flipped = content[:-90] + bytes([content[-90] ^ 1]) + content[-89:]
        path.write_bytes({"truncated": content[:-1], "empty": b"", "flipped": flipped}[damage])
    with pytest.raises(InputError, match=rf"{path.name}: .*run: dvc repro -f {remedy}"):
        write(SMALL, copy, tmp_path / "records")
    assert contents(tmp_path / "records") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "records"]


def test_a_subset_of_other_drawings_is_refused(
    copy: Path, make_raw: MakeRaw, tmp_path: Path
) -> None:
    """Another fetch has replaced data/raw since preprocess."""
    others = {name: random_drawings(400, seed=9) for name in ("cat", "envelope", "fish")}
    shutil.rmtree(copy / "raw")
    shutil.copytree(make_raw(others), copy / "raw")
    with pytest.raises(InputError, match=r"subset/manifest\.json: made of other .*dvc repro"):
        write(SMALL, copy, tmp_path / "records")
    assert not (tmp_path / "records").exists()


def test_a_split_without_a_category_is_written_too(make_subset: MakeSubset, tmp_path: Path) -> None:
    """Of few drawings a category may have none in a small split; none is written."""
    data = make_subset({"cat": random_drawings(300), "zigzag": random_drawings(2, seed=6)})
    counts = manifest(data / "subset")["splits"]["test"]["categories"]
    assert counts["zigzag"] == 0 < counts["cat"]
    written = write(SMALL, data, tmp_path / "records")
    assert written["splits"]["test"]["examples"] == counts["cat"]


def test_memory_is_that_of_a_shard_and_of_the_permutation(
    make_subset: MakeSubset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROOM", 1 << 18)
    peaks = []
    for count in (2_000, 20_000):
        drawings = {"cat": random_drawings(count, 20), "zigzag": random_drawings(count, 20, seed=1)}
        data = make_subset(drawings)
        del drawings
        tracemalloc.start()
        write(Records(shard_mebibytes=0.1, seed=1), data, tmp_path / "records", workers=1)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 36_000 * 40, peaks
