"""The arithmetic of the benchmarks, and a quick run of their cheapest section."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import __main__ as program
from benchmarks import growth, training
from benchmarks.measure import (
    UnavailableError,
    alternate,
    ratio,
    summarise,
    summary_table,
    table,
)
from quickspine.params import Params


def test_each_round_begins_with_the_next_contestant_and_a_failing_one_is_left_out() -> None:
    order: list[str] = []

    def runner(name: str, failing: bool = False) -> Any:
        def run() -> float:
            order.append(name)
            if failing and order.count(name) == 2:
                raise UnavailableError("no wheel")
            return float(len(order))

        return run

    contestants = {"a": runner("a"), "b": runner("b"), "c": runner("c", failing=True)}
    rates, unavailable = alternate(contestants, rounds=3)
    assert order == ["a", "b", "c", "b", "c", "a", "a", "b"]
    assert rates == {"a": [1.0, 6.0, 7.0], "b": [2.0, 4.0, 8.0]}
    assert unavailable == {"c": "no wheel"}


def test_ratios_are_of_medians_with_those_within_rounds_beside_them() -> None:
    assert ratio([10, 30, 20], [10, 10, 5]) == {"median": 2.0, "least": 1.0, "greatest": 4.0}
    assert summarise([3.0, 1.0, 2.0]) == {
        "median": 2.0, "least": 1.0, "greatest": 3.0, "rounds": [3.0, 1.0, 2.0],
    }  # fmt: skip
    points = [
        {"stage": stage, "drawings": 100, "seconds": seconds}
        for stage, seconds in (("fetch", 9.0), ("preprocess", 3.0), ("tfrecords", 2.0))
    ]
    assert growth.rates_together(points) == {100: 20.0}


def test_tables_are_aligned_and_escape_what_would_break_them() -> None:
    lines = table(("what", "n"), [("a|b", 1234), ("long name", 0.12345)]).splitlines()
    assert lines == [
        "| what      |     n |",
        "|-----------|------:|",
        "| a\\|b      | 1,234 |",
        "| long name | 0.123 |",
    ]
    assert "| ours |    150 |" in summary_table({"ours": summarise([100, 150, 220])}, "x")


def test_repeated_drawings_all_differ() -> None:
    drawings = np.random.default_rng(0).integers(0, 256, (5, growth.PIXELS), np.uint8)
    every = np.concatenate([growth.change_pixels(drawings, again) for again in range(300)])
    assert len(np.unique(every, axis=0)) == 1500


@pytest.mark.slow
def test_a_peer_whose_environment_cannot_be_made_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(training, "PEERS", tmp_path)
    (tmp_path / "torch.txt").write_text("--no-index\nno-such-package-anywhere==1\n")
    with pytest.raises(UnavailableError, match="no environment"):
        training.peer_python("torch", tmp_path / "peers")
    assert list((tmp_path / "peers").iterdir()) == []


def test_an_unknown_section_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        program.main(["weather"])
    assert "no section weather; there are training, input, growth, whole" in capsys.readouterr().err


@pytest.mark.slow
def test_the_cheapest_section_runs_and_leaves_its_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "RESULTS", tmp_path / "results.json")
    program.main(["--quick", "growth"])
    found = json.loads((tmp_path / "results.json").read_text())["found"]["growth"]
    assert [point["stage"] for point in found["points"]] == [*growth.OUTPUTS, *growth.OUTPUTS]
    for point in found["points"]:
        assert min(point["seconds"], point["memory_mib"], point["disk_mib"]) > 0
    out = capsys.readouterr().out
    assert "not to be quoted" in out
    assert "preprocess and tfrecords together, 10,000 drawings" in out


@pytest.mark.slow
def test_the_keras_peer_trains_the_same_network(params: Params) -> None:
    from quickspine.nets.backbones import classifier

    peer = runpy.run_path(str(training.PEERS / "keras_vgg5.py"))
    train = params.train.model_copy(update={"width": 1.0})
    ours = classifier.build(train, "spinal", classes=24, seed=1, shape=(28, 28, 1), tuned=False)
    assert peer["network"]().count_params() == ours.count_params()
