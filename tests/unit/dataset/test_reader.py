"""Reading the shards: every example, in an order of (seed, epoch) alone; damage is named."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from quickspine.dataset import SPLITS
from quickspine.dataset.records import reader as module
from quickspine.dataset.records import shard_reader as pieces_module
from quickspine.dataset.records.layout import Layout
from quickspine.dataset.records.reader import RecordSet, open_records, steady
from quickspine.dataset.records.seeds import derive
from quickspine.dataset.records.shard_reader import Pieces, open_shard
from quickspine.dataset.records.shards import Shard
from quickspine.dataset.records.write import write
from quickspine.errors import InputError
from quickspine.files import sha256
from quickspine.params import Records
from tests.unit.dataset import reference
from tests.unit.dataset.conftest import MakeSubset, random_drawings

CATEGORIES = ["zigzag", "cat", "fish"]
FEATURES = {"image": tf.string, "label": tf.int64}


@pytest.fixture(scope="module")
def written(make_subset: MakeSubset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    subset = make_subset({name: random_drawings(300, seed=len(name)) for name in CATEGORIES})
    place = tmp_path_factory.mktemp("records") / "records"
    write(Records(shard_mebibytes=0.01, seed=1), subset, place)
    return place


@pytest.fixture(scope="module")
def records(written: Path) -> RecordSet:
    return open_records(written)


def read(data: Any) -> list[tuple[bytes, int]]:
    """Every example of a dataset: its pixels and its label."""
    found = []
    for images, labels in data:
        assert images.dtype == tf.uint8
        assert images.shape[1:] == (8, 8, 1)
        for image, label in zip(images.numpy(), labels.numpy(), strict=True):
            found.append((image.tobytes(), int(label)))
    return found


def test_what_the_manifest_says_is_at_hand(records: RecordSet) -> None:
    assert records.categories == CATEGORIES  # in the order of the labels
    assert records.shape == (8, 8, 1)
    assert records.digest == records.manifest["digest"]
    assert 0.7 * 900 < records.examples("train") < 0.9 * 900
    assert sum(map(records.examples, SPLITS)) == 900


@pytest.mark.parametrize("split", SPLITS)
def test_in_order_every_example_comes_once(records: RecordSet, split: str) -> None:
    found = read(records.ordered(split, 7))
    assert len(found) == len(set(found)) == records.examples(split)
    assert found == read(records.ordered(split, 512))
    sizes = [len(labels) for _, labels in records.ordered(split, 7)]
    assert set(sizes[:-1]) == {7}


def test_labels_and_drawings_belong_together(records: RecordSet) -> None:
    source = {
        drawing.tobytes(): label
        for label, name in enumerate(CATEGORIES)
        for drawing in random_drawings(300, seed=len(name))
    }
    for data in (records.ordered("train", 64), records.shuffled("train", 8, seed=1, epoch=0)):
        assert all(source[image] == label for image, label in read(data))


def test_an_epoch_s_order_depends_on_seed_and_epoch_alone(
    records: RecordSet, written: Path
) -> None:
    """Not on the batch size, nor on what ran before, nor on the process's global seed."""

    def order(records: RecordSet, seed: int, epoch: int, size: int = 4) -> list[tuple[bytes, int]]:
        return read(records.shuffled("train", size, seed=seed, epoch=epoch))

    chosen = order(records, 1, 3)
    for before in (1, 2):
        tf.random.set_seed(before)
        np.random.default_rng(before).random()
        assert order(records, 1, 3) == chosen
        assert order(open_records(written), 1, 3) == chosen
    size = 32
    assert order(records, 1, 3, size) == chosen[: len(chosen) // size * size]
    data = records.shuffled("train", 4, seed=1, epoch=3)
    assert read(data) == read(data) == chosen

    others = [chosen, order(records, 1, 4), order(records, 2, 3), order(records, 3, 1)]
    for number, one in enumerate(others):
        assert len(set(one)) == len(chosen) > records.examples("train") - 4
        for other in others[:number]:
            agreeing = np.mean([a == b for a, b in zip(one, other, strict=True)])
            assert agreeing < 0.02  # of 720, about one by chance


def test_an_epoch_mixes_shards_and_labels(records: RecordSet) -> None:
    ordered = {image: place for place, (image, _) in enumerate(read(records.ordered("train", 64)))}
    found = read(records.shuffled("train", 1, seed=1, epoch=0))
    places = np.array([ordered[image] for image, _ in found])
    count = len(places)
    assert abs(np.corrcoef(places, np.arange(count))[0, 1]) < 5 / count**0.5
    assert abs(np.corrcoef(places[1:], places[:-1])[0, 1]) < 5 / count**0.5


def test_with_more_examples_than_a_block_every_one_still_comes_once(
    records: RecordSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHUFFLE_BLOCK", 100)
    first = read(records.shuffled("train", 1, seed=1, epoch=0))
    second = read(records.shuffled("train", 1, seed=1, epoch=1))
    assert sorted(first) == sorted(second) == sorted(read(records.ordered("train", 64)))
    labels = np.array([label for _, label in first])
    assert (np.bincount(labels[:100], minlength=3) > 15).all()
    # The blocks are shuffled differently, and the shards come in another order.
    assert np.mean([a == b for a, b in zip(first, second, strict=True)]) < 0.05


def test_what_does_not_fill_the_last_batch_differs_between_epochs(records: RecordSet) -> None:
    every = set(read(records.ordered("train", 64)))
    left = [
        every - set(read(records.shuffled("train", 50, seed=1, epoch=epoch))) for epoch in range(3)
    ]
    assert {len(out) for out in left} == {len(every) % 50}
    assert left[0] != left[1] != left[2]


@pytest.mark.parametrize("damage", ["missing", "truncated", "flipped", "grown", "swapped"])
def test_a_damaged_shard_is_named(written: Path, tmp_path: Path, damage: str) -> None:
    copy = Path(shutil.copytree(written, tmp_path / "records"))
    path = sorted(copy.glob("validation-*"))[0]
    content = path.read_bytes()
    path.unlink()
    if damage == "swapped":
        shutil.copy(sorted(copy.glob("train-*"))[0], path)
    elif damage != "missing":
        flipped = content[:-20] + bytes([content[-20] ^ 1]) + content[-19:]
        changed = {"truncated": content[:-1], "flipped": flipped, "grown": content + b"\0"}
        path.write_bytes(changed[damage])
    with pytest.raises(InputError, match=f"{path.name}: not the shard of .*-f tfrecords"):
        open_records(copy)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.pop("splits"),
        lambda m: m.pop("digest"),
        lambda m: m.pop("categories"),
        lambda m: m.update(shape=[8, 8]),
        lambda m: m.update(shape=[4, 16, 1]),
        lambda m: m.update(categories=["cat", "zigzag", "fish"]),
        lambda m: m.update(categories=None),
        lambda m: m.update(digest="0" * 64),
        lambda m: m["splits"].pop("test"),
        lambda m: m["splits"]["train"].update(examples=3),
        lambda m: m["splits"]["train"]["shards"].pop(),
        lambda m: m["splits"]["train"]["shards"].reverse(),
        lambda m: m["splits"]["train"]["shards"][0].pop("sha256"),
        lambda m: m["splits"]["train"]["shards"][0].update(file="../elsewhere"),
        lambda m: m["splits"]["train"].update(shards=None),
    ],
)
def test_an_edited_manifest_is_named(
    written: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    copy = Path(shutil.copytree(written, tmp_path / "records"))
    edited = json.loads((copy / "manifest.json").read_text())
    change(edited)
    (copy / "manifest.json").write_text(json.dumps(edited))
    with pytest.raises(InputError, match=r"manifest\.json: damaged .*-f tfrecords"):
        open_records(copy)


def test_records_that_moved_open_where_they_are(written: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(written, tmp_path / "a folder, moved"))
    moved = open_records(copy)
    assert read(moved.ordered("test", 9)) == read(open_records(written).ordered("test", 9))
    with pytest.raises(InputError, match=r"manifest\.json: missing; run: dvc repro tfrecords"):
        open_records(tmp_path)


def test_options_do_without_autotuning(records: RecordSet) -> None:
    """Autotuning stalls for seconds where an iterator ends."""
    for data in (records.ordered("train", 8), records.shuffled("train", 8, seed=1, epoch=0)):
        assert data.options().autotune.enabled is False
        assert data.options().deterministic is True


def labels_of(data: Any) -> NDArray[np.int64]:
    return np.concatenate([labels.numpy() for _, labels in data])


def test_a_distributed_dataset_gives_the_same_examples(records: RecordSet) -> None:
    data = records.shuffled("train", 16, seed=1, epoch=0)
    with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
        distributed = tf.distribute.get_strategy().experimental_distribute_dataset(data)
    np.testing.assert_array_equal(labels_of(distributed), labels_of(data))


def parse(serialised: Any, shape: tuple[int, int, int]) -> tuple[Any, Any]:
    """A batch of Examples, by protobuf."""
    features = {name: tf.io.FixedLenFeature([], kind) for name, kind in FEATURES.items()}
    parsed = tf.io.parse_example(serialised, features)
    size = shape[0] * shape[1] * shape[2]
    pixels = tf.io.decode_raw(parsed["image"], tf.uint8, fixed_length=size)
    return tf.reshape(pixels, (-1, *shape)), parsed["label"]


def by_record(found: RecordSet, batch_size: int, *, seed: int | None = None, epoch: int = 0) -> Any:
    """Reading as TensorFlow's own parts do it, a record at a time."""
    names = [str(shard.path) for shard in found.pieces["train"]]
    if seed is None:
        data = tf.data.TFRecordDataset(names).batch(batch_size)
        return data.map(lambda batch: parse(batch, found.shape)).with_options(steady())
    chosen = derive(seed, "order", epoch)
    order = np.random.default_rng(chosen).permutation(len(names))

    def shuffle(number: Any, block: Any) -> Any:
        key = tf.stack([tf.constant(chosen, tf.int64), number])
        return tf.random.experimental.stateless_shuffle(block, key)

    data = tf.data.TFRecordDataset([names[index] for index in order])
    data = data.batch(module.SHUFFLE_BLOCK).enumerate().map(shuffle).unbatch()
    data = data.batch(batch_size, drop_remainder=True)
    return data.map(lambda batch: parse(batch, found.shape)).with_options(steady())


def batches(data: Any) -> list[tuple[Any, bytes, list[int]]]:
    return [(tuple(i.shape), i.numpy().tobytes(), label.numpy().tolist()) for i, label in data]


@st.composite
def record_sets(draw: st.DrawFn, folder: Path) -> RecordSet:
    """Shards of any number of records, with labels of one, two or three bytes, in any order."""
    shape = draw(st.sampled_from([(1, 1, 1), (4, 4, 1), (3, 5, 3), (28, 28, 1)]))
    categories = draw(st.sampled_from([2, 24, 128, 129, 345, 20_000]))
    sizes = draw(st.lists(st.integers(1, 60), min_size=1, max_size=5))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    pixels = shape[0] * shape[1] * shape[2]
    pieces = []
    for number, size in enumerate(sizes):
        path = folder / f"{number}.tfrecord"
        edge = 0 if random.random() < 0.2 else int(random.integers(categories))
        with tf.io.TFRecordWriter(str(path)) as writer:
            for _ in range(size):
                label = int(random.integers(edge, categories))
                drawing = random.integers(0, 256, pixels, np.uint8)
                writer.write(reference.example(drawing.tobytes(), label))
        shard = Shard(file=path.name, bytes=path.stat().st_size, sha256=sha256(path), examples=size)
        pieces.append(open_shard(path, shard, Layout(pixels, categories)))
    return RecordSet(folder, {"shape": list(shape)}, {"train": pieces})


@settings(max_examples=25)
@given(data=st.data())
def test_to_the_bit_what_reading_a_record_at_a_time_gives(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Also where a block takes several shards, a shard several pieces, and both end anywhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces_module, "PIECE", data.draw(st.sampled_from([1, 500, 3000, 1 << 20])))
        patch.setattr(module, "ORDERED_PIECES", data.draw(st.integers(1, 4)))
        patch.setattr(module, "SHUFFLE_BLOCK", data.draw(st.sampled_from([1, 7, 50, 16_384])))
        found = data.draw(record_sets(tmp_path_factory.getbasetemp()))
        size, skipped = data.draw(st.integers(1, 70)), data.draw(st.integers(0, 3))
        seed, epoch = data.draw(st.integers(0, 2**31 - 1)), data.draw(st.integers(0, 100))
        assert batches(found.ordered("train", size)) == batches(by_record(found, size))
        chosen = found.shuffled("train", size, seed=seed, epoch=epoch)
        expected = by_record(found, size, seed=seed, epoch=epoch)
        every = batches(expected)
        assert batches(chosen) == every
        assert batches(chosen.skip(skipped)) == every[skipped:]
        assert chosen.element_spec == expected.element_spec


@settings(max_examples=25)
@given(data=st.data())
def test_epochs_follow_one_another_to_the_bit_as_each_is_by_itself(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever is left out at the end of each: part of a block, or blocks of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SHUFFLE_BLOCK", data.draw(st.sampled_from([1, 7, 50, 16_384])))
        found = data.draw(record_sets(tmp_path_factory.getbasetemp()))
        size, skipped = data.draw(st.integers(1, 70)), data.draw(st.integers(0, 30))
        seed, epoch = data.draw(st.integers(0, 2**31 - 1)), data.draw(st.integers(0, 100))
        epochs = data.draw(st.integers(0, 4))
        chosen = found.shuffled("train", size, seed=seed, epoch=epoch, epochs=epochs)
        alone = (by_record(found, size, seed=seed, epoch=epoch + more) for more in range(epochs))
        expected = [batch for each in alone for batch in batches(each)]
        assert batches(chosen) == expected
        assert batches(chosen.skip(skipped)) == expected[skipped:]


def test_the_next_epoch_is_read_before_it_is_asked_for(
    records: RecordSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or each epoch would begin with a wait."""
    read, begun, reads = Pieces.read, threading.Event(), list[Path]()

    def spying(self: Pieces, first: int, count: int) -> Any:
        reads.append(self.path)
        if len(reads) > len(records.shards("train")):
            begun.set()
        return read(self, first, count)

    monkeypatch.setattr(Pieces, "read", spying)
    steps = records.examples("train") // 8
    epochs = iter(records.shuffled("train", 8, seed=1, epoch=0, epochs=2))
    for _ in range(steps):
        next(epochs)
    assert begun.wait(60)
    assert len(list(epochs)) == steps
