"""The scale bench, made tiny: every stage at every size, and nothing left behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quickspine.bench import growth, scale
from quickspine.errors import InputError
from quickspine.params import Params
from quickspine.sources.storage import npy


def test_every_stage_is_measured_at_every_size(
    params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).resolve().parents[2])  # where the front doors are
    place = tmp_path / "numpy_bitmap"
    place.mkdir()
    for seed, name in enumerate(("cat", "ice cream")):
        drawings = np.random.default_rng(seed).integers(0, 256, (40, npy.ROW), np.uint8)
        np.save(place / f"{name}.npy", drawings)
    work = tmp_path / "work"
    work.mkdir()
    found = growth.measure(params, [101, 300], work, str(place))
    assert list(work.iterdir()) == []
    assert list(found) == list(growth.STAGES)
    for stage, sizes in found.items():
        assert list(sizes) == ["101", "300"]
        for count, one in sizes.items():
            assert list(one) == ["seconds", "rss_mib", "disk_mib"]
            assert one["seconds"] > 0
            assert one["rss_mib"] > 5
            written = int(count) * npy.ROW / 2**20
            assert one["disk_mib"] == 0 if stage == "read" else one["disk_mib"] > written - 0.01
    points = scale.points(found)
    lines = scale.lines(points).splitlines()
    assert len(lines) == 2 + 8
    assert lines[2].split()[:4] == ["|", "fetch", "|", "101"]
    seconds = found["preprocess"]["300"]["seconds"] + found["tfrecords"]["300"]["seconds"]
    few, many = scale.together(points)
    assert (few["drawings"], many["drawings"], many["rate"]) == (101, 300, 300 / seconds)
    memory = [found[stage]["300"]["rss_mib"] for stage in ("preprocess", "tfrecords")]
    assert many["rss_mib"] == max(memory)


def test_what_cannot_be_measured_is_named(params: Params, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a folder is needed\. Received: https://example\.org"):
        growth.measure(params, [10], tmp_path, "https://example.org")
    assert list(tmp_path.iterdir()) == []


def test_repeated_drawings_all_differ() -> None:
    drawings = np.random.default_rng(0).integers(0, 256, (5, npy.ROW), np.uint8)
    every = np.concatenate([growth._changed(drawings, again) for again in range(300)])
    assert len(np.unique(every, axis=0)) == 1500
    np.testing.assert_array_equal(every[:5], drawings)
    assert {draws.shape for _, draws in growth._samples(None)} == {(growth.DRAWN, npy.ROW)}
