"""The peers' programs, and how they are run: with fakes, which print a rate."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from quickspine.bench import against, peers, processes
from quickspine.bench.__main__ import main
from quickspine.bench.sections import Size
from quickspine.bench.turns import CannotRunError
from quickspine.errors import InputError

ROOT = Path(__file__).resolve().parents[3]
FAKE = """
import os, sys
threads = os.environ["OMP_NUM_THREADS"], os.environ["TF_NUM_INTRAOP_THREADS"]
assert "PYTHONPATH" not in os.environ and os.environ["CUDA_VISIBLE_DEVICES"] == "-1"
print("a line before", threads, sys.argv[1:])
print(f"fake: {RATE * int(sys.argv[-1]):.1f} images/s")
"""
SMALL = Size(rounds=2, batch=4, steps=3)


def fakes(folder: Path, rate: float) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("torch", "keras"):
        (folder / f"{name}_vgg5.py").write_text(FAKE.replace("RATE", str(rate)))
        (folder / f"{name}.txt").write_text("# nothing\n")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with fake peers, whose environments are this one."""
    monkeypatch.chdir(tmp_path)
    peers._python.cache_clear()
    monkeypatch.setattr("quickspine.bench.environments.python_of", lambda *_: Path(sys.executable))
    fakes(tmp_path / "bench" / "peers", 10)
    return tmp_path


def test_each_peer_runs_with_its_arguments(project: Path) -> None:
    assert [peer.contestant(4, 3).run() for peer in peers.PEERS] == [30.0] * 3
    assert [peer.arguments for peer in peers.PEERS] == [("bf16",), ("fp32",), ()]


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("raise SystemExit('first\\nlast words')", r"ended with 1 \(last words\)"),
        ("import os; os.kill(os.getpid(), 9)", r"ended with -9 \(without a word\)"),
        ("print('fast')", r"printed no images/s \(fast\)"),
        ("print('0.0 images/s')", "printed no images/s"),
        ("print('1.0 images/s'); print('more')", "printed no images/s"),
    ],
)
def test_a_peer_that_fails_says_why(project: Path, program: str, words: str) -> None:
    (project / "bench/peers/keras_vgg5.py").write_text(program)
    with pytest.raises(CannotRunError, match=words):
        peers.PEERS[2].contestant(4, 3).run()


def test_one_that_takes_too_long_is_ended(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "bench/peers/keras_vgg5.py").write_text("import time; time.sleep(600)")
    monkeypatch.setattr(processes, "LIMIT_S", 0.3)
    with pytest.raises(CannotRunError, match="not done after 0 s"):
        peers.PEERS[2].contestant(4, 3).run()


def test_an_environment_that_cannot_be_made_is_tried_once(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def refuse(name: str, *_: Any) -> Path:
        tried.append(name)
        raise CannotRunError("pip failed (no network)")

    monkeypatch.setattr("quickspine.bench.environments.python_of", refuse)
    for peer in peers.PEERS:
        with pytest.raises(CannotRunError, match="no network"):
            peer.contestant(4, 3).run()
    assert tried == ["torch", "keras"]


def test_ours_are_run_with_our_code_and_must_not_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match="no_such_program"):
        processes.ours("no_such_program")


def test_against_references(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    references = project / "references"
    fakes(references, 5)
    (references / "keras_vgg5.py").unlink()
    main(["--against", "references"], full=SMALL)
    told = capsys.readouterr()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in told.out.splitlines()]
    assert ["PyTorch, bfloat16, reference", "15", "15", "15"] in cells
    assert ["PyTorch, float32", "2.00x", "2.00x", "2.00x"] in cells
    assert "Keras, float32, reference was skipped" in told.out
    assert told.err.count("round 2 of 2") == 5
    assert not (project / "bench/results.json").exists()


def test_against_a_folder_without_references(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match=r"torch_vgg5\.py, keras_vgg5\.py"):
        against.measure(project, SMALL)
    with pytest.raises(SystemExit) as ended:
        main(["--against", str(project)], full=SMALL)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("bench: --against: ")


def program(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "bench/peers" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_keras_peer_trains_the_same_network(params: Any) -> None:
    from quickspine.bench import trainer
    from quickspine.evaluation.flops import products

    theirs = program("keras_vgg5").network()
    ours = trainer.build(params.train.model_copy(update={"width": 1.0}), "spinal")
    assert theirs.count_params() == ours.count_params()
    sizes = [
        sorted((one.positions, one.fan_in, one.units) for one in products(model))
        for model in (theirs, ours)
    ]
    assert sizes[0] == sizes[1]


def test_the_keras_peer_prints_a_rate() -> None:
    command = [sys.executable, str(ROOT / "bench/peers/keras_vgg5.py"), "2", "4"]
    assert processes.rate(command) > 0


def test_the_peer_s_versions_are_the_project_s_own() -> None:
    pattern = re.compile(r"^([\w.-]+==[\w.]+)", re.MULTILINE)
    theirs, lock = (
        set(pattern.findall((ROOT / name).read_text(encoding="utf-8")))
        for name in ("bench/peers/keras.txt", "requirements.lock")
    )
    assert theirs
    assert theirs <= lock
    for name in ("keras", "torch"):
        text = (ROOT / f"bench/peers/{name}.txt").read_text(encoding="utf-8")
        assert "index" not in "".join(line for line in text.splitlines() if line[:1] != "#")
