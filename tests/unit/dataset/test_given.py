"""Splits that a source has of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quickspine.dataset import SPLITS
from quickspine.dataset.prepare.source_splits import TEST, TRAIN, VALIDATION, Assignment
from quickspine.dataset.prepare.subset import preprocess
from quickspine.errors import InputError
from quickspine.files import read_json, write_json
from quickspine.params import Split
from quickspine.sources.storage.category_file import CategoryFile
from quickspine.sources.storage.raw import RawFile

SHARES = Split(train=0.6, validation=0.2, test=0.2)


def files(*counts: tuple[int, int, int]) -> list[CategoryFile]:
    return [RawFile(str(n), Path("x"), sum(c), "", c, 1) for n, c in enumerate(counts)]


counts = st.tuples(*[st.integers(0, 9)] * 3)


@given(
    st.lists(counts, min_size=2, max_size=5).filter(lambda c: any(t for _, _, t in c)), st.data()
)
def test_runs_of_each_file_keep_their_splits(
    chosen: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    chosen = [(a, b + 1, c) for a, b, c in chosen]  # validation is there: nothing is carved
    assignment = Assignment(files(*chosen), 1, SHARES)
    assert assignment.rows == [sum(c) for c in chosen]  # the source has obeyed the limit
    found = []
    left = sum(assignment.rows)
    while left:
        size = data.draw(st.integers(1, left))
        splits, _ = assignment.next(np.zeros((size, 2), np.uint64))
        found += splits.tolist()
        left -= size
    assert found == [split for c in chosen for split in np.repeat([0, 1, 2], c).tolist()]


@settings(max_examples=20)
@given(st.integers(0, 2**32))
def test_validation_is_carved_out_of_training_by_content(seed: int) -> None:
    content = np.random.default_rng(seed).integers(0, 2**64, (6000, 2), np.uint64)
    assignment = Assignment(files((2000, 0, 1000), (2500, 0, 500)), 9999, SHARES)
    splits, ranks = assignment.next(content)
    given_test = np.r_[np.zeros(2000), np.ones(1000), np.zeros(2500), np.ones(500)] == 1
    np.testing.assert_array_equal(splits == TEST, given_test)
    share = (splits == VALIDATION).sum() / 4500
    assert abs(share - 0.25) < 0.04  # of training and validation: 0.2 of 0.8
    late = content[:, 0] >= np.uint64(3 * 2**62)
    np.testing.assert_array_equal(splits == VALIDATION, late & ~given_test)
    np.testing.assert_array_equal(ranks, np.where(given_test, 1, 3))


def test_without_a_test_split_content_decides_all() -> None:
    assignment = Assignment(files((50, 0, 0), (80, 0, 0)), 60, SHARES)
    assert assignment.rows == [50, 60]
    content = np.random.default_rng(1).integers(0, 2**64, (110, 2), np.uint64)
    assert set(assignment.next(content)[0].tolist()) == {TRAIN, VALIDATION, TEST}


def test_the_test_split_stays_whole_and_the_others_lose_what_is_in_it(
    tmp_path: Path, make_raw: Any, make_params: Any
) -> None:
    """Equal and blank images of the test split stay; what equals them is dropped elsewhere."""
    images = np.random.default_rng(3).integers(1, 256, (60, 64), np.uint8)
    cat = images[:40].copy()
    cat[35], cat[36], cat[37] = 0, images[30], images[30]  # in test: blank, and one three times
    cat[0], cat[1] = images[30], 0  # in training: one of test, and a blank one
    dog = images[20:60].copy()  # its training holds cat's 20…39
    folder = make_raw({"cat": cat, "apple": dog})
    manifest = read_json(folder / "manifest.json", "fetch")
    for entry in manifest["categories"]:
        entry["splits"] = {"train": 25, "validation": 5, "test": 10}
    write_json(folder / "manifest.json", manifest)
    params = make_params(
        {"data.categories": ("cat", "apple"), "data.drawings_per_category": 25, "split": SHARES}
    )
    found = preprocess(params, folder, tmp_path / "subset")
    rows = {
        (name, label): np.load(tmp_path / "subset" / name / f"{label:05d}.npy")
        for name in SPLITS
        for label in (0, 1)
    }
    np.testing.assert_array_equal(rows["test", 0], cat[30:])
    np.testing.assert_array_equal(rows["test", 1], dog[30:])
    held = {row.tobytes() for label in (0, 1) for row in rows["test", label]}
    seen: set[bytes] = set()
    for name in ("train", "validation"):
        for label in (0, 1):
            own = {row.tobytes() for row in rows[name, label]}
            assert len(own) == len(rows[name, label])
            assert not own & held
            assert not own & seen
            seen |= own
    everything = {row.tobytes() for row in np.concatenate([cat[:30], dog[:30]])}
    assert seen == everything - held - {bytes(64)}
    assert found["blank"] == 1
    dropped = 80 - sum(found["splits"][name]["drawings"] for name in SPLITS)
    assert found["duplicates"] == dropped - 1


def test_a_category_without_training_images_is_named(
    tmp_path: Path, make_raw: Any, make_params: Any
) -> None:
    images = np.random.default_rng(3).integers(1, 256, (40, 64), np.uint8)
    folder = make_raw({"cat": images[:20], "apple": images[20:]})
    manifest = read_json(folder / "manifest.json", "fetch")
    for entry, train in zip(manifest["categories"], (10, 0), strict=True):
        entry["splits"] = {"train": train, "test": 20 - train}
    write_json(folder / "manifest.json", manifest)
    params = make_params({"data.categories": ("cat", "apple"), "data.drawings_per_category": 10})
    with pytest.raises(InputError, match=r"split\.train: .* leaves none for 'apple'"):
        preprocess(params, folder, tmp_path / "subset")
