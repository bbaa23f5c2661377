"""The shards: every drawing once, shuffled over its split, the same bytes again, bounded memory."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from quickspine.dataset import SPLITS
from quickspine.dataset.records import write as module
from quickspine.dataset.records.write import write
from quickspine.errors import InputError
from quickspine.files import digest, sha256
from quickspine.params import Records
from quickspine.sources.storage import raw as raw_module
from tests.unit.dataset.conftest import MakeSubset, random_drawings

SMALL = Records(shard_mebibytes=0.01, seed=1)


@pytest.fixture(scope="module")
def subset(make_subset: MakeSubset) -> Path:
    drawings = {name: random_drawings(400, seed=len(name)) for name in ("cat", "envelope", "fish")}
    return make_subset(drawings)


@pytest.fixture(scope="module")
def place(subset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("records") / "records"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK", 150)  # several a shard
        patch.setattr(module, "DEALT", 150)  # several a category
        write(SMALL, subset, place)
    return place


def manifest(place: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((place / "manifest.json").read_text())
    return found


def examples(path: Path) -> list[tuple[bytes, int]]:
    """Pixels and label of each record of a shard, read by protobuf."""
    found = []
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        feature = tf.train.Example.FromString(record).features.feature
        found.append((feature["image"].bytes_list.value[0], feature["label"].int64_list.value[0]))
    return found


def shards(place: Path, split: str) -> list[list[tuple[bytes, int]]]:
    return [examples(place / shard["file"]) for shard in manifest(place)["splits"][split]["shards"]]


def contents(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in place.iterdir()}


@pytest.mark.parametrize("split", SPLITS)
def test_every_drawing_is_written_once_with_its_label(
    place: Path, subset: Path, split: str
) -> None:
    written = Counter(example for shard in shards(place, split) for example in shard)
    expected = Counter(
        (drawing.tobytes(), label)
        for label in range(3)
        for drawing in np.load(subset / split / f"{label:05d}.npy")
    )
    assert written == expected
    assert written.total() > 80


def test_the_manifest_says_what_is_there(place: Path, subset: Path) -> None:
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
        assert total == manifest(subset)["splits"][split]["drawings"]
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


def test_each_shard_mixes_the_whole_split(place: Path, subset: Path) -> None:
    """Labels alternate as in a shuffled deck, and neighbours in the subset are torn apart."""
    found = shards(place, "train")
    for shard in found:
        labels = np.array([label for _, label in shard])
        assert np.bincount(labels, minlength=3).min() > 0.15 * len(labels)
        changes = float((labels[1:] != labels[:-1]).mean())
        assert 0.45 < changes < 0.9  # 2/3 expected
    rank = {
        drawing.tobytes(): number
        for label in range(3)
        for number, drawing in enumerate(np.load(subset / "train" / f"{label:05d}.npy"))
    }
    ranks = np.array([rank[pixels] for shard in found for pixels, _ in shard])
    assert abs(np.corrcoef(ranks, np.arange(len(ranks)))[0, 1]) < 5 / len(ranks) ** 0.5
    assert abs(np.corrcoef(ranks[1:], ranks[:-1])[0, 1]) < 5 / len(ranks) ** 0.5


def test_the_same_params_give_the_same_bytes_and_another_seed_another_order(
    place: Path, subset: Path, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK", 150)
        write(SMALL, subset, tmp_path / "again")
    assert contents(tmp_path / "again") == contents(place)

    write(Records(shard_mebibytes=0.01, seed=2), subset, tmp_path / "other")
    assert manifest(tmp_path / "other")["digest"] != manifest(place)["digest"]
    for split in SPLITS:
        ours = [example for shard in shards(place, split) for example in shard]
        others = [example for shard in shards(tmp_path / "other", split) for example in shard]
        assert ours != others
        assert sorted(ours) == sorted(others)


def test_the_splits_are_shuffled_each_in_its_own_way(place: Path) -> None:
    labels = [[label for _, label in shards(place, split)[0]][:40] for split in SPLITS]
    assert labels[0] != labels[1] != labels[2]


@pytest.mark.parametrize(("mebibytes", "one"), [(4096.0, True), (1e-9, False)])
def test_there_is_one_shard_at_least_and_one_a_drawing_at_most(
    make_subset: MakeSubset, tmp_path: Path, mebibytes: float, one: bool
) -> None:
    subset = make_subset({"cat": random_drawings(40), "zigzag": random_drawings(40, seed=1)})
    write(Records(shard_mebibytes=mebibytes, seed=1), subset, tmp_path / "records")
    for split in SPLITS:
        drawings = manifest(subset)["splits"][split]["drawings"]
        found = shards(tmp_path / "records", split)
        assert len(found) == (1 if one else drawings)
        assert sum(map(len, found)) == drawings


@pytest.mark.parametrize("damage", ["missing", "truncated", "empty", "rows", "pixels", "dtype"])
def test_a_damaged_subset_names_the_file_and_leaves_the_old_records(
    subset: Path, tmp_path: Path, damage: str
) -> None:
    copy = Path(shutil.copytree(subset, tmp_path / "subset"))
    write(SMALL, copy, tmp_path / "records")
    before = contents(tmp_path / "records")
    path = copy / "validation" / "00001.npy"
    values = np.load(path)
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:-1])
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        changed = {"rows": values[1:], "pixels": values[:, :1], "dtype": values.astype(np.float32)}
        np.save(path, changed[damage])
    with pytest.raises(InputError, match=r"00001\.npy: .*run: dvc repro -f preprocess"):
        write(SMALL, copy, tmp_path / "records")
    assert contents(tmp_path / "records") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["records", "subset"]


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.pop("shape"),
        lambda m: m.update(shape="8"),
        lambda m: m.pop("licence"),
        lambda m: m.pop("categories"),
        lambda m: m.update(categories=3),
        lambda m: m["categories"].append("dog"),
        lambda m: m["splits"].pop("test"),
        lambda m: m["splits"]["test"].update(drawings=1),
        lambda m: m["splits"]["test"]["categories"].update(cat="many"),
        lambda m: m["splits"]["test"]["categories"].update(cat=1),
        lambda m: m["splits"]["test"].pop("sha256"),
    ],
)
def test_an_edited_manifest_is_named(
    subset: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    copy = Path(shutil.copytree(subset, tmp_path / "subset"))
    edited = manifest(copy)
    change(edited)
    (copy / "manifest.json").write_text(json.dumps(edited))
    with pytest.raises(InputError, match=r"manifest\.json: .*run: dvc repro -f preprocess"):
        write(SMALL, copy, tmp_path / "records")
    assert not (tmp_path / "records").exists()


@pytest.mark.parametrize("split", SPLITS)
def test_a_changed_pixel_is_not_written(subset: Path, tmp_path: Path, split: str) -> None:
    copy = Path(shutil.copytree(subset, tmp_path / "subset"))
    path = copy / split / "00001.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"{split}: not the drawings that were written"):
        write(SMALL, copy, tmp_path / "records")
    assert not (tmp_path / "records").exists()


def test_a_split_without_a_category_is_written_too(make_subset: MakeSubset, tmp_path: Path) -> None:
    """Of few drawings a category may have none in a small split; its file is there, empty."""
    subset = make_subset({"cat": random_drawings(300), "zigzag": random_drawings(2, seed=6)})
    counts = manifest(subset)["splits"]["test"]["categories"]
    assert counts["zigzag"] == 0 < counts["cat"]
    written = write(SMALL, subset, tmp_path / "records")
    assert written["splits"]["test"]["examples"] == counts["cat"]


def test_memory_does_not_grow_with_the_number_of_drawings(
    make_subset: MakeSubset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw_module, "CHUNK", 500)
    monkeypatch.setattr(module, "CHUNK", 100)
    monkeypatch.setattr(module, "DEALT", 500)
    monkeypatch.setattr(module, "ROOM", 1 << 16)
    peaks = []
    for count in (1_000, 10_000):
        drawings = {"cat": random_drawings(count), "zigzag": random_drawings(count, seed=1)}
        subset = make_subset(drawings)
        del drawings
        tracemalloc.start()
        # One thread, so that the peak is no matter of how threads happen to meet.
        write(Records(shard_mebibytes=0.05, seed=1), subset, tmp_path / "records", workers=1)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0], peaks
    assert peaks[1] < 20_000 * 64 / 2, peaks  # half of the drawings
