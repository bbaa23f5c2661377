"""However many drawings, categories, shards and workers: the bytes are the plain reference's."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from quickspine import categories as known
from quickspine.dataset.prepare import digesting, duplicates, subset
from quickspine.dataset.records import write
from quickspine.errors import InputError
from quickspine.params import Params, Records
from quickspine.sources.storage import raw as raw_module
from tests.unit.dataset import reference
from tests.unit.dataset.conftest import Drawings, MakeRaw

MakeParams = Callable[[dict[str, Any]], Params]
EACH = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


def tree(place: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(place)): path.read_bytes()
        for path in place.rglob("*")
        if path.is_file()
    }


def messy(count: int, side: int, seed: int) -> Drawings:
    """Some drawings blank, some repeated, in this category and in others."""
    random = np.random.default_rng([seed, count])
    values = random.integers(0, 256, (count, side * side), np.uint8)
    values[random.random(count) < 0.05] = 0
    again = random.random(count) < 0.1
    values[again] = np.arange(side * side)[None] + random.integers(0, 9, (int(again.sum()), 1))
    return values


def compare(raw: Path, params: Params, workers: int, folder: Path) -> None:
    with contextlib.suppress(InputError):  # too few drawings for three splits
        subset.preprocess(params, raw, folder / "subset", workers)
    if not (folder / "subset").exists():
        return
    reference.preprocess(params, raw, folder / "slow-subset")
    assert tree(folder / "subset") == tree(folder / "slow-subset")
    write.write(params.records, folder / "subset", folder / "records", workers)
    chosen = params.records
    reference.records(
        chosen.shard_mebibytes, chosen.seed, folder / "subset", folder / "slow-records"
    )
    assert tree(folder / "records") == tree(folder / "slow-records")
    assert sorted(path.name for path in folder.iterdir()) == [
        "records", "slow-records", "slow-subset", "subset",
    ]  # fmt: skip


@EACH
@given(
    counts=st.lists(st.integers(20, 150), min_size=2, max_size=5),
    limit=st.integers(30, 150),
    side=st.integers(2, 11),
    shard=st.sampled_from([1e-6, 0.001, 0.003, 0.01, 1.0]),
    seed=st.integers(0, 9),
    workers=st.integers(1, 4),
    chunk=st.sampled_from([1, 7, 64, 8192]),
    bucket=st.sampled_from([10, 100, 10_000]),
)
@example([150, 150], 150, 4, 0.003, 1, 2, 7, 10)
def test_the_bytes_are_those_of_the_reference(
    make_raw: MakeRaw,
    make_params: MakeParams,
    counts: list[int],
    limit: int,
    side: int,
    shard: float,
    seed: int,
    workers: int,
    chunk: int,
    bucket: int,
) -> None:
    names = known.DOODLES[: len(counts)]
    drawings = {
        n: messy(c, side, seed + k) for k, (n, c) in enumerate(zip(names, counts, strict=True))
    }
    chosen = {"data.categories": names, "data.drawings_per_category": limit}
    chosen |= {"data.allow_fewer": True, "records": Records(shard_mebibytes=shard, seed=seed)}
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(raw_module, "CHUNK", chunk)
        patch.setattr(write, "CHUNK", chunk)
        patch.setattr(write, "DEALT", chunk)
        patch.setattr(duplicates, "DRAWINGS_A_BUCKET", bucket)
        compare(make_raw(drawings), make_params(chosen), workers, Path(folder))


@pytest.fixture(params=[False, True], ids=["few", "many"])
def as_many(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As few drawings are treated, and as many are: by compiled functions."""
    if request.param:
        monkeypatch.setattr(digesting, "LANES_FROM", 0)
        monkeypatch.setattr(write, "PACKED_FROM", 0)


@pytest.mark.usefixtures("as_many")
def test_labels_of_one_and_two_bytes_share_a_shard(
    make_raw: MakeRaw, make_params: MakeParams, tmp_path: Path
) -> None:
    names = tuple(sorted(known.quickdraw()))[:140]
    drawings = {name: messy(12, 6, seed) for seed, name in enumerate(names)}
    chosen: dict[str, Any] = {"data.source": "quickdraw", "data.categories": names}
    chosen |= {"data.drawings_per_category": 12, "split.train": 0.8}
    compare(make_raw(drawings), make_params(chosen), 2, tmp_path)
    assert (tmp_path / "records").exists()


@pytest.mark.usefixtures("as_many")
def test_compiled_functions_make_the_same_bytes(
    make_raw: MakeRaw, make_params: MakeParams, tmp_path: Path
) -> None:
    drawings = {name: messy(500, 8, seed) for seed, name in enumerate(("cat", "zigzag"))}
    chosen = {"data.categories": ("cat", "zigzag"), "data.drawings_per_category": 500}
    compare(make_raw(drawings), make_params(chosen), 2, tmp_path)
    assert (tmp_path / "records").exists()
