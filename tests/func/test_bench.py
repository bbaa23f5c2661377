"""`make bench`, made tiny; in processes of its own, since training sets up the whole process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from quickspine.bench.sections import SECTIONS

PARAMS = Path(__file__).parents[2] / "params.yaml"
STAGES = ["doodles", "preprocess", "tfrecords", "read in order", "read shuffled"]
OURS = ["quickspine", "quickspine, not deterministic", "quickspine, float32"]
PEERS = ["PyTorch, bfloat16", "PyTorch, float32", "Keras, float32"]
TINY = """
import sys
from quickspine.bench import __main__ as bench
from quickspine.bench.sections import Size
tiny = Size(
    rounds=1, drawings=12, passes=1, batch=8, width=0.1, steps=1, mebibytes=1, seeds=1,
    train_drawings=20, trained=((0.1, 1), (0.05, 1)), batches=(4,), widths=(0.05,),
    point_drawings=4, point_rounds=1, read_drawings=60, scale=(240, 10**15), whole=20,
)
bench.main(sys.argv[1:], full=tiny)
"""
# Keras' peer is skipped: its environment is 500 MB. PyTorch's is this one, its program prints.
FAKE = "print('fake: 20.0 images/s')"


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", TINY, *arguments]


def measured(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # The stages' front doors are found from any folder.
    paths = [str(PARAMS.parent), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        command(*arguments),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
        check=False,
    )


# What every stage of the whole pipeline spends most of its time on.
LESS = {
    "  batch_size: 64 ": "  batch_size: 8 ",
    "  epochs: 5 ": "  epochs: 1 ",
    "  image_size: 64 ": "  image_size: 32 ",
    "  head_epochs: 4 ": "  head_epochs: 1 ",
    "  epochs: 2 ": "  epochs: 1 ",
    "  latency_repeats: 50 ": "  latency_repeats: 3 ",
    "  enabled: true\n": "  enabled: false\n",
}


def with_params(folder: Path, changes: Mapping[str, str]) -> None:
    """The project's params with other lines."""
    text = PARAMS.read_text(encoding="utf-8")
    for old, new in changes.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (folder / "params.yaml").write_text(text, encoding="utf-8")


def check_summary(found: dict[str, Any]) -> None:
    rounds = found["rounds"]
    assert min(rounds) > 0
    assert found["median"] == median(rounds)
    assert (found["slowest"], found["fastest"]) == (min(rounds), max(rounds))


def test_it_measures_everything_and_leaves_two_files(tmp_path: Path) -> None:
    with_params(tmp_path, LESS)
    peers = tmp_path / "bench/peers"
    peers.mkdir(parents=True)
    (peers / "torch_vgg5.py").write_text(FAKE)
    (peers / "torch.txt").write_text("# nothing\n")
    (peers / "keras.txt").write_text("--no-index\nno-such-package-anywhere==1\n")
    done = measured(tmp_path)
    assert done.returncode == 0, done.stderr
    files = {path for path in tmp_path.rglob("*") if path.is_file()}
    left = {str(path.relative_to(tmp_path)) for path in files if ".quickspine" not in path.parts}
    assert left == {
        "params.yaml", "bench/results.json", "bench/results.md", "bench/peers/torch_vgg5.py",
        "bench/peers/torch.txt", "bench/peers/keras.txt",
    }  # fmt: skip
    results = json.loads((tmp_path / "bench/results.json").read_text(encoding="utf-8"))
    assert "tensorflow" in results["environment"]["packages"]
    assert list(results["sections"]) == list(SECTIONS) == list(results["seconds"])
    found = results["sections"]

    assert list(found["stages"]["rates"]) == STAGES
    training = found["training"]
    assert sorted(training["rates"]) == sorted([*OURS, *PEERS[:2]])
    assert "pip failed" in training["skipped"]["Keras, float32"]
    assert training["precisions"]["quickspine, float32"] == "float32"
    ours = training["rates"]["quickspine"]["median"]
    assert training["rates"]["PyTorch, bfloat16"]["rounds"] == [20.0]
    assert training["ratios"]["quickspine to PyTorch, bfloat16"]["ratio"] == ours / 20
    for each in (*found["stages"]["rates"].values(), *training["rates"].values()):
        check_summary(each)

    limits = found["limits"]
    assert limits["work"]["whole"] > sum(limits["work"]["shapes"]) / 2 > 0
    share = limits["reached"]["quickspine"]["shares"]["memory"]
    precision = training["precisions"]["quickspine"]
    assert share == ours / limits["allowed"][precision]["memory"]

    assert [(each["width"], each["epochs"]) for each in found["quality"]["trained"]] == [
        (0.1, 1),
        (0.05, 1),
    ]
    for each in found["quality"]["trained"]:
        courses = {name: [len(c) for c in several] for name, several in each["accuracies"].items()}
        assert courses == {"float32": [1], "auto": [1]}
    inputs = found["inputs"]
    for each in (inputs["reading"] | inputs["augmenting"] | inputs["waiting"]).values():
        check_summary(each)
    assert inputs["work"]["read"] > 1024
    theirs = inputs["reading"]["tfds, one by one"]["median"]
    mine = inputs["reading"]["shuffled, batch 128"]["median"]
    assert inputs["ratios"]["shuffled, batch 128 to tfds, one by one"]["ratio"] == mine / theirs
    assert [name.partition(",")[0] for name in inputs["waiting"]] == ["width 0.25", "width 0.1"]

    stages = [(point["stage"], point["drawings"]) for point in found["scale"]["points"]]
    assert stages == [(stage, 240) for stage in ("fetch", "preprocess", "tfrecords", "read")]
    assert found["scale"]["left_out"] == [
        "1,000,000,000,000,000 drawings: too little room on the disk was free"
    ]

    whole = found["whole"]
    counts = {name: each["runs"] for name, each in whole["stages"].items()}
    assert counts == {
        "fetch": 1, "preprocess": 1, "tfrecords": 1, "train": 2, "finetune": 2, "evaluate": 1,
    }  # fmt: skip
    parts = whole["before"] + sum(each["seconds"] for each in whole["stages"].values())
    assert parts == pytest.approx(whole["seconds"])
    check_summary(whole["again"])

    for axis, at in (("batch", 4), ("width", 0.05)):
        points = found["sweep"][axis]
        assert [(point["at"], point["head"]) for point in points] == [(at, "dense"), (at, "spinal")]

    text = (tmp_path / "bench/results.md").read_text(encoding="utf-8")
    assert done.stdout.startswith(text)
    assert "Keras, float32 was skipped: pip failed" in text
    assert text.count("- training, at least 4 times plain Keras (") == 2
    assert text.count("not deterministic, as the peers are): not measured\n") == 1
    aims = re.findall(r"^- .*: (reached|\*\*NOT reached\*\*|not measured)", text, re.MULTILINE)
    assert len(aims) == 4 + 7 + 2 + 2
    for name in [*STAGES, *OURS, *PEERS[:2]]:
        assert f"\n| {name} " in text
        assert f"round 1 of 1, {name}\n" in done.stderr


def test_wrong_params_are_named(tmp_path: Path) -> None:
    with_params(tmp_path, {"shard_mebibytes: 8": "shard_mebibytes: 0"})
    done = measured(tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("bench: params.yaml: 1 wrong")
    assert "records.shard_mebibytes" in done.stderr


def test_wrong_arguments_are_named(tmp_path: Path) -> None:
    for arguments, named in ((("--only", "weather"), "weather"), (("--rounds", "0"), "--rounds")):
        done = measured(tmp_path, *arguments)
        assert done.returncode == 2
        assert named in done.stderr


def test_stopped_it_keeps_nothing(tmp_path: Path) -> None:
    with_params(tmp_path, {})
    stopped = command("--only", "training")
    with subprocess.Popen(stopped, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        assert "round 1 of 1, quickspine" in running.stderr.readline()
        time.sleep(0.5)  # the training's process is on its way
        running.send_signal(signal.SIGINT)
        told = running.stderr.read()
    assert running.returncode == 1
    assert told.splitlines()[-1] == "bench: interrupted; nothing was kept"
    assert not (tmp_path / "bench").exists()
