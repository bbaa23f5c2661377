"""Preprocess: nothing lost, nothing twice, nothing shared by two splits, in bounded memory."""

from __future__ import annotations

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
from quickspine.dataset import SPLITS
from quickspine.dataset.prepare import duplicates
from quickspine.dataset.prepare import subset as module
from quickspine.dataset.prepare.content import digests, split_of
from quickspine.dataset.prepare.subset import preprocess
from quickspine.errors import InputError
from quickspine.params import Params
from quickspine.sources.storage import raw as raw_module
from tests.unit.dataset.conftest import Drawings, MakeRaw, MakeSubset, random_drawings

CATEGORIES = ("cat", "ice cream", "zigzag")
MakeParams = Callable[[dict[str, Any]], Params]


def read(place: Path) -> dict[str, list[Drawings]]:
    """The drawings of each split, by label."""
    return {
        split: [np.load(path) for path in sorted((place / split).iterdir())] for split in SPLITS
    }


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


@pytest.mark.parametrize(("bucket", "chunk"), [(1_000_000, 8192), (100, 8192), (10, 7)])
def test_each_drawing_is_kept_once_where_its_content_belongs(
    messy: dict[str, Drawings],
    make_subset: MakeSubset,
    monkeypatch: pytest.MonkeyPatch,
    params: Params,
    bucket: int,
    chunk: int,
) -> None:
    monkeypatch.setattr(duplicates, "DRAWINGS_A_BUCKET", bucket)
    monkeypatch.setattr(raw_module, "CHUNK", chunk)
    place = make_subset(messy)
    every = np.concatenate(list(messy.values()))
    labels = np.repeat(np.arange(3), 300)
    blank = ~every.any(axis=1)
    first = np.zeros(900, bool)
    first[np.unique(every, axis=0, return_index=True)[1]] = True
    kept = first & ~blank
    splits = split_of(digests(every), params.split)

    found, manifest = read(place), json.loads((place / "manifest.json").read_text())
    for number, split in enumerate(SPLITS):
        assert [path.name for path in sorted((place / split).iterdir())] == [
            "00000.npy", "00001.npy", "00002.npy",
        ]  # fmt: skip
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
    assert sorted(path.name for path in place.iterdir()) == sorted(
        [*SPLITS, "contact-sheet.png", "manifest.json"]
    )


def test_no_two_splits_or_categories_share_a_drawing(
    messy: dict[str, Drawings], make_subset: MakeSubset
) -> None:
    found = read(make_subset(messy))
    every = [drawing for files in found.values() for file in files for drawing in tuples(file)]
    assert len(every) == len(set(every)) > 200


def test_a_drawing_in_two_categories_stays_in_the_first(make_subset: MakeSubset) -> None:
    cat, zigzag = random_drawings(60, seed=1), random_drawings(60, seed=2)
    zigzag[:20] = cat[40:]
    found = read(make_subset({"cat": cat, "zigzag": zigzag}))
    first, second = (
        sorted(drawing for split in SPLITS for drawing in tuples(found[split][label]))
        for label in (0, 1)
    )
    assert first == sorted(tuples(cat))
    assert second == sorted(tuples(zigzag[20:]))


def test_more_drawings_move_none_and_the_first_ones_are_taken(make_subset: MakeSubset) -> None:
    drawings = {name: random_drawings(200, seed=len(name)) for name in CATEGORIES}
    small = make_subset(drawings, **{"data.drawings_per_category": 90})
    large = make_subset(drawings)
    for split in SPLITS:
        for few, many in zip(read(small)[split], read(large)[split], strict=True):
            np.testing.assert_array_equal(few, many[: len(few)])
    assert json.loads((small / "manifest.json").read_text())["chosen"] == 270


def test_the_same_drawings_give_the_same_bytes(
    messy: dict[str, Drawings], make_subset: MakeSubset
) -> None:
    first, second = make_subset(messy), make_subset(messy)
    names = [path.relative_to(first) for path in first.rglob("*") if path.is_file()]
    assert len(names) == 11
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
    monkeypatch.setattr(raw_module, "CHUNK", 7)
    drawings = {"cat": random_drawings(100), "zigzag": random_drawings(9, seed=1)}
    found = read(make_subset(drawings, **{"data.allow_fewer": True}))["train"]
    for train, tiles in zip(found, shown.values(), strict=True):
        np.testing.assert_array_equal(tiles.reshape(-1, 64), train[:16])
    assert list(shown) == ["cat", "zigzag"]


def test_the_contact_sheet_is_an_image(messy: dict[str, Drawings], make_subset: MakeSubset) -> None:
    with Image.open(make_subset(messy) / "contact-sheet.png") as sheet:
        assert sheet.size[0] > 16 * 16
        assert sheet.getextrema() == (0, 255) or sheet.getextrema()[1] == 255


@pytest.mark.parametrize(
    ("drawings", "key", "names"),
    [
        ({"cat": random_drawings(3), "zigzag": random_drawings(3, seed=1)}, "split.", "cat"),
        ({"cat": random_drawings(90), "zigzag": np.zeros((9, 64), np.uint8)}, "train", "zigzag"),
        ({"cat": random_drawings(90), "zigzag": random_drawings(90)}, "split.train", "zigzag"),
        ({"cat": random_drawings(90), "zigzag": random_drawings(0)}, "split.train", "zigzag"),
        ({"cat": random_drawings(0), "zigzag": random_drawings(0)}, "split.train", "cat"),
    ],
    ids=["too few", "blank", "the same", "none", "none at all"],
)
def test_an_empty_split_names_its_share(
    make_subset: MakeSubset, drawings: dict[str, Drawings], key: str, names: str
) -> None:
    with pytest.raises(InputError) as caught:
        make_subset(drawings)
    message = str(caught.value)
    assert key in message
    assert names in message
    assert "raise data.drawings_per_category" in message


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_share_too_small_for_the_data_is_named(make_subset: MakeSubset, split: str) -> None:
    other = {"validation": "test", "test": "validation"}[split]
    shares = {"split.train": 0.5, f"split.{split}": 1e-12, f"split.{other}": 0.5 - 1e-12}
    drawings = {"cat": random_drawings(50), "zigzag": random_drawings(50, seed=1)}
    with pytest.raises(InputError, match=rf"^split\.{split}: 1e-12 of 50 drawings leaves"):
        make_subset(drawings, **shares)


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
    assign = module._assign

    def replaced(*given: Any) -> Any:
        found = assign(*given)
        raw.rename(tmp_path / "gone")
        other.rename(raw)
        return found

    monkeypatch.setattr(module, "_assign", replaced)
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
    with pytest.raises(InputError, match=r"zigzag\.npy: not the 60 drawings"):
        preprocess(params, raw, place)
    path.write_bytes(whole)

    def fail(*anything: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("quickspine.dataset.prepare.subset.contact_sheet", fail)
    with pytest.raises(KeyboardInterrupt):
        preprocess(params, raw, place)
    assert (place / "manifest.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["subset"]


def test_memory_does_not_grow_with_the_number_of_drawings(
    make_params: MakeParams, make_raw: MakeRaw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NumPy tells tracemalloc of its arrays; what is mapped from files does not count."""
    monkeypatch.setattr(duplicates, "DRAWINGS_A_BUCKET", 2000)
    monkeypatch.setattr(raw_module, "CHUNK", 1000)
    peaks = []
    for count in (2_000, 20_000):
        drawings = {"cat": random_drawings(count), "zigzag": random_drawings(count, seed=1)}
        raw = make_raw(drawings)
        del drawings
        params = make_params(
            {"data.categories": ("cat", "zigzag"), "data.drawings_per_category": count}
        )
        tracemalloc.start()
        # One thread, so that the peak is no matter of how threads happen to meet.
        preprocess(params, raw, tmp_path / "subset", workers=1)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0], peaks
    assert peaks[1] < 20_000 * 64 * 2 / 2, peaks  # half of the drawings


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
