"""Reading the shards: every example, in an order of (seed, epoch) alone."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from quickspine.dataset import SPLITS
from quickspine.dataset.records import reader as module
from quickspine.dataset.records.reader import RecordSet, open_records
from quickspine.dataset.records.write import write
from quickspine.errors import InputError
from quickspine.params import Records
from tests.unit.dataset.conftest import MakeSubset, random_drawings

CATEGORIES = ["zigzag", "cat", "fish"]


@pytest.fixture(scope="module")
def written(make_subset: MakeSubset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = make_subset({name: random_drawings(300, seed=len(name)) for name in CATEGORIES})
    place = tmp_path_factory.mktemp("records") / "records"
    write(Records(shard_mebibytes=0.01, seed=1), data / "raw", data / "subset", place)
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


@pytest.mark.parametrize(("limit", "value"), [("SHUFFLE_BLOCK", 100), ("SHUFFLE_BYTES", 10_000)])
def test_with_more_examples_than_a_block_every_one_still_comes_once(
    records: RecordSet, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(module, limit, value)
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


def test_records_that_moved_open_where_they_are(written: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(written, tmp_path / "a folder, moved"))
    moved = open_records(copy)
    assert read(moved.ordered("test", 9)) == read(open_records(written).ordered("test", 9))
    with pytest.raises(InputError, match=r"manifest\.json: missing; run: dvc repro tfrecords"):
        open_records(tmp_path)


def labels_of(data: Any) -> NDArray[np.int64]:
    return np.concatenate([labels.numpy() for _, labels in data])


@pytest.mark.parametrize("skipped", [0, 1, 30, 95])
@pytest.mark.parametrize("block", [7, 100, 16_384])
def test_epochs_follow_one_another_as_each_is_by_itself(
    records: RecordSet, monkeypatch: pytest.MonkeyPatch, block: int, skipped: int
) -> None:
    """So a training goes on in the midst of an epoch with what it would have had."""
    monkeypatch.setattr(module, "SHUFFLE_BLOCK", block)
    size, epochs = 20, range(3, 6)
    alone = [read(records.shuffled("train", size, seed=2, epoch=epoch)) for epoch in epochs]
    every = [example for each in alone for example in each]
    assert len(every) == 3 * (records.examples("train") // size * size)
    data = records.shuffled("train", size, seed=2, epoch=3, epochs=3)
    assert read(data.skip(skipped)) == every[skipped * size :]


def test_labels_are_those_of_the_examples_in_order(records: RecordSet) -> None:
    np.testing.assert_array_equal(records.labels("test"), labels_of(records.ordered("test", 7)))
