"""`make bench`, made tiny."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import keras
import pytest
import tensorflow as tf

from quickspine import bench
from quickspine.params import Params

STAGES = ["doodles", "preprocess", "tfrecords", "read in order", "read shuffled"]


@pytest.fixture(autouse=True)
def _settings() -> Iterator[None]:
    """What a training sets for its process, put back for the tests after this one."""
    yield
    keras.config.set_dtype_policy("float32")
    tf.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": False})


def test_it_measures_every_stage_and_leaves_one_file(
    params: Params,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny = bench.Size(rounds=2, drawings=12, passes=1, steps=0)
    monkeypatch.setattr(bench, "Size", lambda: tiny)
    small = params.train.model_copy(update={"batch_size": 8})
    monkeypatch.setattr(bench, "load", lambda path: params.model_copy(update={"train": small}))
    bench.main([])
    assert [str(path) for path in Path().rglob("*") if path.is_file()] == ["bench/results.json"]
    results = json.loads(Path("bench/results.json").read_text(encoding="utf-8"))
    assert results["environment"]["packages"]["tensorflow"] == tf.__version__
    found = results["drawings_per_second"]
    assert list(found)[:5] == STAGES
    trained = list(found)[5:]
    assert {"train, width 0.25, float32", "train, width 1, float32"} <= set(trained)
    assert len(trained) in (2, 4)  # `auto` picks float32 on processors that are slow in bfloat16
    for measured in found.values():
        assert len(measured["rounds"]) == 2
        assert min(measured["rounds"]) > 0
        assert measured["median"] == median(measured["rounds"])
    captured = capsys.readouterr()
    for name in found:
        assert name in captured.out
    assert "bench: doodles, round 2 of 2" in captured.err


def test_wrong_params_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        bench.main([])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith("bench: params.yaml: missing")
