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


class Running:
    """A stage's entry point in a process group of its own."""

    def __init__(self, folder: Path, stage: str) -> None:
        self.data, self.stage = folder / "data", stage
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"pipeline.{stage}"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def until(self, true: Callable[[], object]) -> None:
        deadline = time.monotonic() + WAIT_S
        while not true():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def workers(self) -> list[psutil.Process]:
        return spawned(psutil.Process(self.process.pid))

    def drawing(self) -> bool:
        """Whether there are doodles: then the workers work."""
        found = self.data.glob(".partial-raw-*/*.npy")
        return any(path.stat().st_size > 1000 for path in found)

    def ends(self, code: int, message: str, left: tuple[str, ...] = ()) -> None:
        """Wait for its end, with this on stderr, and `left` alone in data."""
        out, errors = self.process.communicate(timeout=WAIT_S)
        assert (self.process.returncode, out) == (code, "")
        assert re.fullmatch(f"{self.stage}: {message}\n", errors), errors
        assert sorted(path.name for path in self.data.iterdir()) == list(left)

    def stop(self, number: signal.Signals, everyone: bool, left: tuple[str, ...] = ()) -> None:
        """Stop it, or all of its process group: it ends quietly."""
        (os.killpg if everyone else os.kill)(self.process.pid, number)
        self.ends(1, "interrupted; nothing half-made was kept", left)


def gone(children: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(children, timeout=WAIT_S)
    return bool(children) and not alive


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A project folder whose params ask for more doodles than a test waits for."""
    values = load(ROOT / "params.yaml").model_dump(mode="json")
    values["data"] |= {"source": "doodles", "categories": CATEGORIES}
    values["data"] |= {"drawings_per_category": 300_000}
    (tmp_path / "params.yaml").write_text(json.dumps(values))
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    return tmp_path


SIGNALS = pytest.mark.parametrize(
    ("number", "everyone"),
    [(signal.SIGTERM, False), (signal.SIGTERM, True), (signal.SIGINT, True), (signal.SIGHUP, True)],
    ids=["SIGTERM", "SIGTERM to all", "Ctrl-C", "closed terminal"],
)
MOMENTS = {"as the workers start": Running.workers, "as they work": Running.drawing}


@pytest.mark.faults
@pytest.mark.parametrize("moment", MOMENTS)
@SIGNALS
def test_fetch_is_stopped_quietly_with_its_workers(
    empty: Path, number: signal.Signals, everyone: bool, moment: str
) -> None:
    fetch = Running(empty, "fetch")
    fetch.until(lambda: MOMENTS[moment](fetch))
    children = fetch.workers()
    fetch.stop(number, everyone)
    assert gone(children)


@pytest.mark.faults
def test_a_killed_worker_is_named_as_a_want_of_memory(empty: Path) -> None:
    fetch = Running(empty, "fetch")
    fetch.until(fetch.drawing)
    children = fetch.workers()
    children[0].kill()
    fetch.ends(1, r"out of memory \(a worker process was killed\); .*")
    assert gone(children)


@pytest.mark.core
@pytest.mark.faults
def test_workers_end_with_a_stage_that_is_killed(empty: Path) -> None:
    fetch = Running(empty, "fetch")
    fetch.until(fetch.drawing)
    children = fetch.workers()
    fetch.process.kill()
    fetch.process.communicate()
    assert gone(children)


@pytest.mark.faults
@SIGNALS
def test_preprocess_is_stopped_quietly(raw: Path, number: signal.Signals, everyone: bool) -> None:
    preprocess = Running(raw, "preprocess")
    preprocess.until(lambda: list(raw.glob("data/.partial-subset-*")))
    time.sleep(0.5)  # it digests
    preprocess.stop(number, everyone, ("raw",))


@pytest.mark.faults
def test_damage_that_workers_find_is_named_and_leaves_nothing(raw: Path) -> None:
    """A bit in the middle of the second category, while the first is being digested."""
    path = raw / "data/raw/zigzag.npy"

    def write(value: bytes) -> None:
        with path.open("r+b") as file:
            file.seek(path.stat().st_size // 2)
            file.write(value)

    write(b"\1")
    try:
        Running(raw, "preprocess").ends(
            2,
            rf"data/raw/zigzag\.npy: not the {ROWS} images of 'zigzag' that were fetched; "
            "run: dvc repro -f fetch",
            ("raw",),
        )
    finally:
        write(b"\0")


@pytest.mark.faults
def test_tfrecords_is_stopped_quietly(chosen: Path) -> None:
    tfrecords = Running(chosen, "tfrecords")
    tfrecords.until(lambda: list(chosen.glob("data/.partial-records-*/train-*.tfrecord")))
    tfrecords.stop(signal.SIGTERM, False, ("raw", "subset"))


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
    assert re.search(r"^preprocess: class +train +validation +test$", done.stdout, re.MULTILINE)
    shutil.rmtree(chosen / "data/records")
