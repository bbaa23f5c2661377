"""Preprocess: nothing lost, nothing twice, nothing shared by two splits, in bounded memory."""

from __future__ import annotations

import hashlib
import json
import shutil
import tracemalloc
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline import preprocess as door
from quickspine import sources
from quickspine.dataset.prepare import content as content_module
from quickspine.dataset.prepare import subset as module
from quickspine.dataset.prepare import table
from quickspine.dataset.prepare.content import digests, split_of
from quickspine.dataset.prepare.subset import preprocess
from quickspine.errors import InputError
from quickspine.files import read_json, write_json
from quickspine.params import SPLITS, Params, Split
from quickspine.sources.storage.raw import CategoryFile
from tests.unit.dataset.conftest import (
    Drawings,
    MakeRaw,
    MakeSubset,
    random_drawings,
    read_subset,
)

CATEGORIES = ("cat", "ice cream", "zigzag")
MakeParams = Callable[[dict[str, Any]], Params]


def tuples(drawings: Drawings) -> list[bytes]:
    return [drawing.tobytes() for drawing in drawings]


@pytest.fixture(scope="module")
def messy() -> dict[str, Drawings]:
    """Few different drawings, so that many repeat within and across categories; some blank."""
    generator = np.random.default_rng(0)
    values = generator.integers(0, 3, (900, 64), dtype=np.uint8) * 80
    values[:, 6:] = 0  # 3 ** 6 different ones
    values[generator.random(900) < 0.1] = 0
    return dict(zip(CATEGORIES, np.split(values, 3), strict=True))


@pytest.mark.parametrize(("at_once", "job"), [(4_000_000, 16_384), (100, 7)])
def test_each_drawing_is_kept_once_where_its_content_belongs(
    messy: dict[str, Drawings],
    make_subset: MakeSubset,
    monkeypatch: pytest.MonkeyPatch,
    params: Params,
    at_once: int,
    job: int,
) -> None:
    monkeypatch.setattr(content_module, "SORTED_AT_ONCE", at_once)
    monkeypatch.setattr(content_module, "A_JOB", job)
    monkeypatch.setattr(table, "GROUP", job)
    place = make_subset(messy)
    every = np.concatenate(list(messy.values()))
    labels = np.repeat(np.arange(3), 300)
    blank = ~every.any(axis=1)
    first = np.zeros(900, bool)
    first[np.unique(every, axis=0, return_index=True)[1]] = True
    kept = first & ~blank
    splits = split_of(digests(row.tobytes() for row in every), params.split)

    found = read_subset(place)
    manifest = json.loads((place / "subset/manifest.json").read_text())
    for number, split in enumerate(SPLITS):
        for label, category in enumerate(CATEGORIES):
            expected = every[kept & (splits == number) & (labels == label)]
            np.testing.assert_array_equal(found[split][label], expected)  # in the order they came
            assert manifest["splits"][split]["categories"][category] == len(expected)
        assert manifest["splits"][split]["drawings"] == sum(map(len, found[split]))
    assert manifest["chosen"] == 900
    assert manifest["blank"] == blank.sum() > 50
    assert manifest["duplicates"] == (~first & ~blank).sum() > 100
    total = sum(split["drawings"] for split in manifest["splits"].values())
    assert total + manifest["blank"] + manifest["duplicates"] == manifest["chosen"]
    assert manifest["categories"] == list(CATEGORIES)
    assert {name: manifest[name] for name in ("source", "synthetic", "shape")} == {
        "source": "doodles", "synthetic": True, "shape": [8, 8, 1],
    }  # fmt: skip
    assert sorted(path.name for path in (place / "subset").iterdir()) == [
        "contact-sheet.png", "images.parquet", "manifest.json",
    ]  # fmt: skip


def test_more_drawings_move_none_and_the_first_ones_are_taken(make_subset: MakeSubset) -> None:
    drawings = {name: random_drawings(200, seed=len(name)) for name in CATEGORIES}
    small = make_subset(drawings, **{"data.drawings_per_category": 90})
    large = make_subset(drawings)
    for split in SPLITS:
        for few, many in zip(read_subset(small)[split], read_subset(large)[split], strict=True):
            np.testing.assert_array_equal(few, many[: len(few)])
    assert json.loads((small / "subset/manifest.json").read_text())["chosen"] == 270


def test_the_same_drawings_give_the_same_bytes(
    messy: dict[str, Drawings], make_subset: MakeSubset
) -> None:
    first, second = (make_subset(messy) / "subset" for _ in range(2))
    names = [path.name for path in first.iterdir()]
    assert len(names) == 3
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_the_contact_sheet_shows_training_drawings_only(
    make_subset: MakeSubset, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: dict[str, Drawings] = {}
    monkeypatch.setattr(
        "quickspine.dataset.prepare.subset.contact_sheet",
        lambda drawings, place, columns: shown.update(drawings),
    )
    drawings = {"cat": random_drawings(100), "zigzag": random_drawings(9, seed=1)}
    found = read_subset(make_subset(drawings, **{"data.allow_fewer": True}))["train"]
    for train, tiles in zip(found, shown.values(), strict=True):
        np.testing.assert_array_equal(tiles.reshape(-1, 64), train[:16])
    assert list(shown) == ["cat", "zigzag"]


def test_the_contact_sheet_is_an_image(messy: dict[str, Drawings], make_subset: MakeSubset) -> None:
    with Image.open(make_subset(messy) / "subset/contact-sheet.png") as sheet:
        assert sheet.size[0] > 16 * 16
        assert sheet.getextrema() == (0, 255) or sheet.getextrema()[1] == 255


MANY = {"cat": random_drawings(50), "zigzag": random_drawings(50, seed=1)}


@pytest.mark.parametrize(
    ("drawings", "key", "names"),
    [
        ({"cat": random_drawings(3), "zigzag": random_drawings(3, seed=1)}, "split.", "cat"),
        ({"cat": random_drawings(90), "zigzag": np.zeros((9, 64), np.uint8)}, "train", "zigzag"),
        ({"cat": random_drawings(90), "zigzag": random_drawings(90)}, "split.train", "zigzag"),
        ({"cat": random_drawings(90), "zigzag": random_drawings(0)}, "split.train", "zigzag"),
        ({"cat": random_drawings(0), "zigzag": random_drawings(0)}, "split.train", "cat"),
        (MANY, "split.validation: 1e-12 of 50 images leaves", "cat"),
        (MANY, "split.test: 1e-12 of 50 images leaves", "cat"),
    ],
    ids=["too few", "blank", "the same", "none", "none at all", "validation", "test"],
)
def test_an_empty_split_names_its_share(
    make_subset: MakeSubset, drawings: dict[str, Drawings], key: str, names: str
) -> None:
    shares = {"split.validation": 0.1, "split.test": 0.1}
    small = key.partition(":")[0]
    if small in shares:
        shares = {**shares, small: 1e-12}
    with pytest.raises(InputError) as caught:
        make_subset(drawings, **shares, **{"split.train": 1 - sum(shares.values())})
    message = str(caught.value)
    assert key in message
    assert names in message
    assert "raise data.drawings_per_category" in message


def test_fewer_drawings_than_asked_for_are_taken_only_where_allowed(
    make_params: MakeParams, make_raw: MakeRaw, tmp_path: Path
) -> None:
    """A raw folder that was fetched for other params is not quietly made do with."""
    raw = make_raw({"cat": random_drawings(60), "zigzag": random_drawings(50, seed=1)})
    values = {"data.categories": ("cat", "zigzag"), "data.drawings_per_category": 60}
    with pytest.raises(InputError, match=r"data\.drawings_per_category: 60 asked for, 50 in"):
        preprocess(make_params(values), raw, tmp_path / "subset")
    allowed = make_params({**values, "data.allow_fewer": True})
    assert preprocess(allowed, raw, tmp_path / "subset")["chosen"] == 110


def test_drawings_replaced_while_they_are_read_are_not_used(
    make_raw: MakeRaw,
    make_params: Callable[[dict[str, Any]], Params],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another fetch puts a whole new folder in place between two looks at it."""
    raw, other = (
        make_raw({"cat": random_drawings(300, seed=s), "zigzag": random_drawings(300, seed=s + 9)})
        for s in (0, 1)
    )
    assign = module.assign_splits

    def replaced(*given: Any) -> Any:
        found = assign(*given)
        raw.rename(tmp_path / "gone")
        other.rename(raw)
        return found

    monkeypatch.setattr(module, "assign_splits", replaced)
    chosen = {"data.categories": ("cat", "zigzag"), "data.drawings_per_category": 300}
    with pytest.raises(InputError, match=r"replaced while it was read; run this again"):
        preprocess(make_params(chosen), raw, tmp_path / "subset")
    assert not (tmp_path / "subset").exists()


def test_a_failure_leaves_the_old_subset(
    make_params: MakeParams, make_raw: MakeRaw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = make_raw({"cat": random_drawings(60), "zigzag": random_drawings(60, seed=1)})
    params = make_params({"data.categories": ("cat", "zigzag"), "data.drawings_per_category": 60})
    place = tmp_path / "subset"
    preprocess(params, raw, place)
    before = (place / "manifest.json").read_bytes()
    path = raw / "zigzag.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(InputError, match=r"zigzag\.npy: not the 60 images"):
        preprocess(params, raw, place)
    path.write_bytes(whole)

    def fail(*anything: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("quickspine.dataset.prepare.subset.contact_sheet", fail)
    with pytest.raises(KeyboardInterrupt):
        preprocess(params, raw, place)
    assert (place / "manifest.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["subset"]


def test_memory_is_that_of_the_digests(
    make_params: MakeParams, make_raw: MakeRaw, tmp_path: Path
) -> None:
    """NumPy tells tracemalloc of its arrays: some tens of bytes an image, whatever its size."""
    peaks = []
    for count in (2_000, 20_000):
        drawings = {name: random_drawings(count, 20, seed=len(name)) for name in ("cat", "zigzag")}
        raw = make_raw(drawings)
        del drawings
        params = make_params(
            {"data.categories": ("cat", "zigzag"), "data.drawings_per_category": count}
        )
        tracemalloc.start()
        preprocess(params, raw, tmp_path / "subset", workers=1)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 36_000 * 60, peaks


def test_splits_are_those_of_every_version(params: Params, tmp_path: Path) -> None:
    """Which doodle is drawn, kept, and put into which split: equal since commit 0483cc1.

    The digest is that of [category, row, split] of all images, sorted, as JSON; it was made by
    that commit's fetch and preprocess, whose .npy files of each split were looked up in raw.
    """
    names = ("apple", "cat", "zigzag")
    data = params.data.model_copy(update={"categories": names, "drawings_per_category": 200})
    sources.fetch(data, tmp_path / "raw")
    preprocess(params.model_copy(update={"data": data}), tmp_path / "raw", tmp_path / "subset")
    found = []
    for split in SPLITS:
        labels, rows = table.read_split(tmp_path / "subset" / table.NAME, split)
        pairs = zip(labels.tolist(), rows.tolist(), strict=True)
        found += [[names[label], row, split] for label, row in pairs]
    assert len(found) == 600
    digest = hashlib.sha256(json.dumps(sorted(found)).encode()).hexdigest()
    assert digest == "133f031fdb9215ddb16029b4b84464acc7c575cfef42948f6f49bf98791a1bb0"


def test_what_the_backbone_cannot_take_is_said_before_anything_is_prepared(
    tmp_path: Path, make_raw: Any, make_params: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    shutil.copytree(make_raw({"cat": random_drawings(30), "apple": random_drawings(30, seed=1)}),
                    tmp_path / "data/raw")  # fmt: skip
    monkeypatch.chdir(tmp_path)
    chosen = {"data.categories": ("cat", "apple"), "data.drawings_per_category": 30}
    with pytest.raises(InputError, match=r"train\.backbone: vgg5 needs .* at least 16x16"):
        door.run(make_params(chosen), Namespace())
    assert not Path("data/subset").exists()
    door.run(make_params({**chosen, "train.enabled": False}), Namespace())
    assert Path("data/subset/manifest.json").is_file()


SHARES = Split(train=0.6, validation=0.2, test=0.2)
Counts = tuple[int, int, int]


def files(*counts: Counts) -> list[CategoryFile]:
    return [CategoryFile(str(n), Path("x"), sum(c), "", c, 1) for n, c in enumerate(counts)]


def with_own_splits(folder: Path, *counts: dict[str, int]) -> Path:
    manifest = read_json(folder / "manifest.json", "fetch")
    for entry, splits in zip(manifest["categories"], counts, strict=True):
        entry["splits"] = splits
    write_json(folder / "manifest.json", manifest)
    return folder


def test_the_source_s_own_splits_are_kept_and_validation_is_carved_out_by_content() -> None:
    content = np.random.default_rng(0).integers(0, 2**64, (6000, 2), np.uint64)
    runs = files((1500, 500, 1000), (2500, 0, 500))
    splits, blank, repeated = module.assign_splits(runs, content, SHARES, None)
    sizes = [1500, 500, 1000, 2500, 0, 500]
    assert splits.tolist() == np.repeat([0, 1, 2] * 2, sizes).tolist()
    assert blank == repeated == 0

    runs = files((2000, 0, 1000), (2500, 0, 500))
    splits, _, _ = module.assign_splits(runs, content, SHARES, None)
    given_test = np.repeat([False, True] * 2, [2000, 1000, 2500, 500])
    np.testing.assert_array_equal(splits == module.TEST, given_test)
    late = content[:, 0] >= np.uint64(3 * 2**62)  # of training and validation: 0.2 of 0.8
    np.testing.assert_array_equal(splits == module.VALIDATION, late & ~given_test)


def test_the_test_split_stays_whole_and_the_others_lose_what_is_in_it(
    make_raw: Any, make_params: Any
) -> None:
    """Equal and blank images of the test split stay; what equals them is dropped elsewhere."""
    images = np.random.default_rng(3).integers(1, 256, (60, 64), np.uint8)
    cat = images[:40].copy()
    cat[35], cat[36], cat[37] = 0, images[30], images[30]  # in test: blank, and one three times
    cat[0], cat[1] = images[30], 0  # in training: one of test, and a blank one
    dog = images[20:60].copy()  # its training holds cat's 20…39
    own = {"train": 25, "validation": 5, "test": 10}
    folder = with_own_splits(make_raw({"cat": cat, "apple": dog}), own, own)
    params = make_params(
        {"data.categories": ("cat", "apple"), "data.drawings_per_category": 25, "split": SHARES}
    )
    found = preprocess(params, folder, folder.parent / "subset")
    rows = read_subset(folder.parent)
    np.testing.assert_array_equal(rows["test"][0], cat[30:])
    np.testing.assert_array_equal(rows["test"][1], dog[30:])
    held = {row.tobytes() for label in (0, 1) for row in rows["test"][label]}
    seen: set[bytes] = set()
    for name in ("train", "validation"):
        for label in (0, 1):
            kept = {row.tobytes() for row in rows[name][label]}
            assert len(kept) == len(rows[name][label])
            assert not kept & held
            assert not kept & seen
            seen |= kept
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
    with_own_splits(folder, {"train": 10, "test": 10}, {"train": 0, "test": 20})
    params = make_params({"data.categories": ("cat", "apple"), "data.drawings_per_category": 10})
    with pytest.raises(InputError, match=r"split\.train: .* leaves none for 'apple'"):
        preprocess(params, folder, tmp_path / "subset")
