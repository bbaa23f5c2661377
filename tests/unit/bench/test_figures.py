from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quickspine.bench import figures
from quickspine.bench.turns import summary


def points(values: list[float]) -> list[dict[str, Any]]:
    return [
        {"at": at, "head": head, **summary([rate / at, rate / at + 5, rate / at + 9])}
        for at in values
        for head, rate in (("dense", 1000), ("spinal", 1200))
    ]


def results() -> dict[str, Any]:
    return {
        "started": "2026-01-02T03:04:05+00:00",
        "git_commit": "0123456789abcdef",
        "dirty": "false",
        "environment": {
            "processor": "A Processor",
            "machine": "x86_64",
            "memory_gib": 8.0,
            "python": "3.11.7",
            "packages": {"tensorflow": "2.21.0", "numpy": "2.4.6"},
        },
        "threads": 2,
        "quick": False,
        "size": {"rounds": 5},
        "seconds": {"sweep": 90.0},
        "sections": {
            "sweep": {
                "fixed": {"batch": 128, "width": 1.0},
                "batch": points([16, 32, 64]),
                "width": points([0.25, 1.0]),
                "left_out": ["batch 512: too little memory was free"],
            }
        },
    }


def test_figures_and_the_numbers_behind_them(tmp_path: Path) -> None:
    written = figures.write(results(), tmp_path)
    names = [str(path.relative_to(tmp_path)) for path in written]
    assert names == ["images/bench-batch.svg", "images/bench-width.svg", "measured.md"]
    for image in written[:2]:
        document = image.read_text(encoding="utf-8")
        assert ET.fromstring(document).tag.endswith("svg")  # noqa: S314 - our own
        assert "$" not in document  # TeX is not read: categories may be called "$"
        assert {"dense head", "spinal head"} <= set(re.findall(">([^<]+)</text>", document))
    page = written[-1].read_text(encoding="utf-8")
    for name in names[:2]:
        assert f"]({name})" in page
    for point in results()["sections"]["sweep"]["batch"]:
        assert f"{point['median']:,.0f} ({point['slowest']:,.0f}" in page
    assert "Left out: batch 512" in page
    assert "A Processor" in page
    assert "commit 0123456789ab." in page


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (figures.write(results(), tmp_path / name) for name in ("a", "b"))
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_stages_against_drawings_on_log_axes() -> None:
    found = [
        {"stage": stage, "drawings": count, "seconds": 1e-5 * count + 1}
        for stage in ("preprocess", "tfrecords")
        for count in (1000, 100_000, 5_000_000)
    ]
    axes = figures.scale({"scale": {"points": found}}).axes[0]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert [line.get_label() for line in axes.lines] == ["preprocess", "tfrecords"]
    assert np.asarray(axes.lines[0].get_xdata()).tolist() == [1000, 100_000, 5_000_000]


def test_from_the_last_run_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["figures"])
    with pytest.raises(SystemExit) as ended:
        figures.main()
    assert ended.value.code == 2
    assert "run: make bench" in capsys.readouterr().err
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench/results.json").write_text(json.dumps(results()), encoding="utf-8")
    figures.main()
    assert (tmp_path / "docs/images/bench-batch.svg").is_file()
