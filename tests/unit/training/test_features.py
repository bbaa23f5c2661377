"""Kept features: computed once, named by all that they depend on, shuffled by (seed, epoch)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from quickspine.errors import NoSpaceError
from quickspine.training.features import kept, ordered, shuffled

Rows = NDArray[np.float32]
Labels = NDArray[np.int64]


class Forward:
    """Doubles a batch, and counts how often it was asked."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, batch: Any) -> Any:
        self.calls += 1
        return tf.cast(batch, tf.float64) * 2


def batches(rows: Rows) -> Any:
    return tf.data.Dataset.from_tensor_slices(rows).batch(4)


def test_features_are_computed_once(rows: Rows, feature_folder: Path) -> None:
    forward = Forward()
    for _ in range(2):
        found = kept({"data": "a"}, forward, batches(rows), "rows", 15, feature_folder)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, rows * 2)
    assert forward.calls == 4
    assert isinstance(found, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 0


def test_other_facts_are_other_features(rows: Rows, feature_folder: Path) -> None:
    forward = Forward()
    kept({"data": "a", "size": 1}, forward, batches(rows), "rows", 15, feature_folder)
    kept({"size": 1, "data": "a"}, forward, batches(rows), "rows", 15, feature_folder)
    assert forward.calls == 4
    kept({"data": "a", "size": 2}, forward, batches(rows), "rows", 15, feature_folder)
    assert forward.calls == 8
    assert len(list(feature_folder.iterdir())) == 2


def test_a_failure_leaves_no_features(rows: Rows, feature_folder: Path) -> None:
    def broken(batch: Any) -> Any:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        kept({}, broken, batches(rows), "rows", 15, feature_folder)
    assert list(feature_folder.iterdir()) == []
    np.testing.assert_array_equal(
        kept({}, Forward(), batches(rows), "rows", 15, feature_folder), rows * 2
    )


def test_damaged_features_are_computed_again(
    rows: Rows, feature_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forward = Forward()
    sound = np.array(kept({}, forward, batches(rows), "rows", 15, feature_folder))
    calls = forward.calls
    for name, changed in (("values.npy", -1), ("manifest.json", 20)):
        (place,) = feature_folder.iterdir()
        content = bytearray((place / name).read_bytes())
        content[changed] ^= 1
        (place / name).write_bytes(content)
        found = kept({}, forward, batches(rows), "rows", 15, feature_folder)
        np.testing.assert_array_equal(found, sound)
        assert forward.calls == (calls := calls + len(list(batches(rows))))
        assert "is damaged; computing it again" in capsys.readouterr().err


def test_too_little_room_is_found_at_the_first_batch(rows: Rows, feature_folder: Path) -> None:
    forward = Forward()
    with pytest.raises(NoSpaceError, match=r"finetune\.image_size"):
        kept({}, forward, batches(rows), "rows", 10**15, feature_folder)
    assert forward.calls == 1
    assert list(feature_folder.iterdir()) == []


def seen(data: Any) -> list[tuple[bytes, bytes]]:
    return [(x.numpy().tobytes(), y.numpy().tobytes()) for x, y in data]


def of(rows: Rows, labels: Labels, size: int, epoch: int, seed: int = 1) -> Any:
    """One epoch."""
    return shuffled(rows, labels, size, seed=seed, epochs=epoch + 1)(epoch)


@pytest.mark.parametrize("size", [4, 5])
def test_epochs_follow_one_another_each_as_it_is_by_itself(
    rows: Rows, labels: Labels, size: int
) -> None:
    alone = [batch for epoch in range(4) for batch in seen(of(rows, labels, size, epoch))]
    epochs, steps = shuffled(rows, labels, size, seed=1, epochs=4), 15 // size
    for first in range(5):  # from the fifth on there is nothing
        assert seen(epochs(first)) == alone[first * steps :]
    assert seen(epochs(1).skip(2)) == alone[steps + 2 :]


def test_an_epoch_holds_every_row_once_but_for_what_does_not_fill_a_batch(
    rows: Rows, labels: Labels
) -> None:
    pairs = {row.tobytes(): int(label) for row, label in zip(rows, labels, strict=True)}
    seen_rows = []
    for size, epoch in ((5, 2), (4, 0), (4, 1)):
        batches = list(of(rows, labels, size, epoch))
        assert [len(y) for _, y in batches] == [size] * 3
        found = [
            (row.tobytes(), int(label))
            for x, y in batches
            for row, label in zip(x.numpy(), y.numpy(), strict=True)
        ]
        assert dict(found).items() <= pairs.items()
        assert len(dict(found)) == len(found) == 3 * size
        seen_rows.append(set(dict(found)))
    assert seen_rows[1] != seen_rows[2]  # something else is left out in each epoch


def test_in_order_the_last_batch_may_be_smaller(rows: Rows, labels: Labels) -> None:
    found = list(ordered(rows, labels, 4))
    assert [len(y) for _, y in found] == [4, 4, 4, 3]
    np.testing.assert_array_equal(np.concatenate([x for x, _ in found]), rows)
    np.testing.assert_array_equal(np.concatenate([y for _, y in found]), labels)
