"""`make bench`, made tiny; in processes of its own, since training sets up the whole process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import median

PARAMS = Path(__file__).parents[2] / "params.yaml"
STAGES = ["doodles", "preprocess", "tfrecords", "read in order", "read shuffled"]
TINY = """
from quickspine.bench import __main__ as bench
tiny = bench.Size(rounds=2, drawings=12, passes=1, steps=0)
bench.Size = lambda: tiny
bench.main([])
"""


def measured(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", TINY]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_it_measures_every_stage_and_leaves_one_file(tmp_path: Path) -> None:
    text = PARAMS.read_text(encoding="utf-8").replace("batch_size: 64", "batch_size: 8")
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    done = measured(tmp_path)
    assert done.returncode == 0, done.stderr
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*"))
    assert files == ["bench/results.json", "params.yaml"]
    results = json.loads((tmp_path / "bench/results.json").read_text(encoding="utf-8"))
    assert "tensorflow" in results["environment"]["packages"]
    found = results["drawings_per_second"]
    assert list(found)[:5] == STAGES
    trained = list(found)[5:]
    assert {"train, width 0.25, float32", "train, width 1, float32"} <= set(trained)
    assert len(trained) in (2, 4)  # `auto` picks float32 on processors that are slow in bfloat16
    for name, numbers in found.items():
        assert len(numbers["rounds"]) == 2
        assert min(numbers["rounds"]) > 0
        assert numbers["median"] == median(numbers["rounds"])
        assert f"\n{name:<28}" in done.stdout
        assert f"bench: {name}" in done.stderr


def test_wrong_params_are_named(tmp_path: Path) -> None:
    text = PARAMS.read_text(encoding="utf-8").replace("shard_mebibytes: 8", "shard_mebibytes: 0")
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    done = measured(tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("bench: params.yaml: 1 wrong")
    assert "records.shard_mebibytes" in done.stderr
