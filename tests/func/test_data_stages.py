"""The data stages' real doors, stopped and damaged while their workers work: quiet, and no orphans.

Two million blank drawings, sparse on the disk: enough to be in time for, and cheap to make. Only
fetch has worker processes, where it draws doodles; the others have threads.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil  # type: ignore[import-untyped]
import pytest

from quickspine.dataset.prepare.subset import preprocess
from quickspine.files import sha256, write_json
from quickspine.params import load
from quickspine.sources.storage import npy
from tests.spawned import spawned

ROOT = Path(__file__).resolve().parents[2]
ROWS = 1_000_000
CATEGORIES = ["cat", "zigzag"]
WAIT_S = 60.0


def make_raw(folder: Path, rows: int, random: np.random.Generator | None) -> None:
    """Write params and a raw folder of `rows` drawings a category; blank ones without `random`."""
    values = load(ROOT / "params.yaml").model_dump(mode="json")
    values["data"] |= {"categories": CATEGORIES, "drawings_per_category": rows}
    values["records"]["shard_mebibytes"] = 1
    (folder / "params.yaml").write_text(json.dumps(values))
    shutil.copy(ROOT / "dvc.yaml", folder)
    place = folder / "data/raw"
    place.mkdir(parents=True)
    entries: list[dict[str, Any]] = []
    for name in CATEGORIES:
        path = place / f"{name}.npy"
        with path.open("wb") as file:
            file.write(npy.header(rows))
            if random is not None:
                file.write(random.bytes(rows * npy.ROW))
            file.truncate(128 + rows * npy.ROW)
        entry = {"category": name, "file": path.name, "url": "made-up", "rows": rows}
        entries.append({**entry, "bytes": path.stat().st_size, "sha256": sha256(path)})
    manifest = {"source": "doodles", "synthetic": True, "licence": "CC0-1.0", "shape": [28, 28, 1]}
    manifest |= {"encoding": "raw"}
    write_json(place / "manifest.json", {**manifest, "attribution": "x", "categories": entries})


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder with two million drawings."""
    folder = tmp_path_factory.mktemp("project")
    make_raw(folder, ROWS, None)
    return folder


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder with drawings enough to be in time for, and a subset of them."""
    folder = tmp_path_factory.mktemp("project")
    make_raw(folder, 100_000, np.random.default_rng(0))
    params = load(folder / "params.yaml")
    preprocess(params, folder / "data/raw", folder / "data/subset")
    return folder


def start(folder: Path, stage: str) -> subprocess.Popen[str]:
    """A stage's door in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", f"pipeline.{stage}"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def until(true: Callable[[], object], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not true():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def workers(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return spawned(psutil.Process(process.pid))


def gone(children: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(children, timeout=WAIT_S)
    return not alive


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A project folder whose params ask for more doodles than a test waits for."""
    values = load(ROOT / "params.yaml").model_dump(mode="json")
    values["data"] |= {"source": "doodles", "categories": CATEGORIES}
    values["data"] |= {"drawings_per_category": 300_000}
    (tmp_path / "params.yaml").write_text(json.dumps(values))
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    return tmp_path


def drawing(folder: Path) -> list[Path]:
    """The doodles that are there: the first says that the workers work."""
    found = folder.glob("data/.partial-raw-*/*.npy")
    return [path for path in found if path.stat().st_size > 1000]


SIGNALS = pytest.mark.parametrize(
    ("number", "everyone"),
    [(signal.SIGTERM, False), (signal.SIGTERM, True), (signal.SIGINT, True), (signal.SIGHUP, True)],
    ids=["SIGTERM", "SIGTERM to all", "Ctrl-C", "closed terminal"],
)
MOMENTS: dict[str, Callable[[Path, subprocess.Popen[str]], object]] = {
    "as the workers start": lambda folder, process: workers(process),
    "as they work": lambda folder, process: drawing(folder),
}


@pytest.mark.faults
@pytest.mark.parametrize("moment", MOMENTS)
@SIGNALS
def test_fetch_is_stopped_quietly_with_its_workers(
    empty: Path, number: signal.Signals, everyone: bool, moment: str
) -> None:
    process = start(empty, "fetch")
    until(lambda: MOMENTS[moment](empty, process), process)
    children = workers(process)
    (os.killpg if everyone else os.kill)(process.pid, number)
    out, errors = process.communicate(timeout=WAIT_S)
    assert (process.returncode, out) == (1, "")
    assert errors == "fetch: interrupted; nothing half-made was kept\n"
    assert children
    assert gone(children)
    assert list((empty / "data").iterdir()) == []


@pytest.mark.faults
def test_a_killed_worker_is_named_as_a_want_of_memory(empty: Path) -> None:
    process = start(empty, "fetch")
    until(lambda: drawing(empty), process)
    children = workers(process)
    children[0].kill()
    out, errors = process.communicate(timeout=WAIT_S)
    assert (process.returncode, out) == (1, "")
    assert re.fullmatch(r"fetch: out of memory \(a worker process was killed\); .*\n", errors), (
        errors
    )
    assert gone(children)
    assert list((empty / "data").iterdir()) == []


@pytest.mark.core
@pytest.mark.faults
def test_workers_end_with_a_stage_that_is_killed(empty: Path) -> None:
    process = start(empty, "fetch")
    until(lambda: drawing(empty), process)
    children = workers(process)
    process.kill()
    process.communicate()
    assert children
    assert gone(children)


@pytest.mark.faults
@SIGNALS
def test_preprocess_is_stopped_quietly(raw: Path, number: signal.Signals, everyone: bool) -> None:
    process = start(raw, "preprocess")
    until(lambda: list(raw.glob("data/.partial-subset-*")), process)
    time.sleep(0.5)  # it digests
    (os.killpg if everyone else os.kill)(process.pid, number)
    out, errors = process.communicate(timeout=WAIT_S)
    assert (process.returncode, out) == (1, "")
    assert errors == "preprocess: interrupted; nothing half-made was kept\n"
    assert [path.name for path in (raw / "data").iterdir()] == ["raw"]


@pytest.mark.faults
def test_damage_that_workers_find_is_named_and_leaves_nothing(raw: Path) -> None:
    """A bit in the middle of the second category, while the first is being digested."""
    path = raw / "data/raw/zigzag.npy"
    middle = path.stat().st_size // 2
    with path.open("r+b") as file:
        file.seek(middle)
        file.write(b"\1")
    try:
        process = start(raw, "preprocess")
        out, errors = process.communicate(timeout=WAIT_S)
    finally:
        with path.open("r+b") as file:
            file.seek(middle)
            file.write(b"\0")
    assert (process.returncode, out) == (2, "")
    assert errors == (
        f"preprocess: data/raw/zigzag.npy: not the {ROWS} drawings of 'zigzag' that were "
        "fetched; run: dvc repro -f fetch\n"
    )
    assert [path.name for path in (raw / "data").iterdir()] == ["raw"]


@pytest.mark.faults
def test_tfrecords_is_stopped_quietly(chosen: Path) -> None:
    process = start(chosen, "tfrecords")
    until(lambda: list(chosen.glob("data/.partial-records-*/train-*.tfrecord")), process)
    process.terminate()
    out, errors = process.communicate(timeout=WAIT_S)
    assert (process.returncode, out) == (1, "")
    assert errors == "tfrecords: interrupted; nothing half-made was kept\n"
    assert sorted(path.name for path in (chosen / "data").iterdir()) == ["raw", "subset"]


@pytest.mark.slow
def test_preprocess_and_tfrecords_start_without_tensorflow(chosen: Path) -> None:
    code = (
        "import runpy, sys; sys.argv[1:] = []; "
        "[runpy.run_module(f'pipeline.{stage}', run_name='__main__', alter_sys=True) "
        "for stage in ('preprocess', 'tfrecords')]; "
        "print(sorted({'tensorflow', 'keras', 'mlflow'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=chosen,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    shutil.rmtree(chosen / "data/records")
