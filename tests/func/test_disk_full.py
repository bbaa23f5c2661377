"""A full disk in each stage: one clear line, exit code 1, the outputs as they were, no leftovers.

Two real ways to have no room: a small tmpfs (No space left on device; needs the right to mount),
and a limit on the size of a file (File too large).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from quickspine import sources, space
from quickspine.errors import NoSpaceError
from quickspine.params import Data
from quickspine.sources.storage import npy
from tests.func.project import ROOT, Project
from tests.mirror_server import MirrorServer

pytestmark = pytest.mark.faults
OUTPUTS = {
    "fetch": "data/raw",
    "preprocess": "data/subset",
    "tfrecords": "data/records",
    "train": "models/train-spinal-1",
    "finetune": "models/finetune-spinal-1",
    "evaluate": "evaluation",
}
KEPT = ("data", "models", "evaluation")

# Runs a stage where there was room when it looked, and is none when it writes.
TOO_LATE = """
import runpy, shutil, sys
real = shutil.disk_usage
shutil.disk_usage = lambda folder: real(folder)._replace(free=10**12)
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""


def command(stage: str) -> list[str]:
    more = ["--head", "spinal", "--seed", "1"] if stage in ("train", "finetune") else []
    return [f"pipeline.{stage}", *more]


def run(
    project: Path, *arguments: str, largest: int | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Python in a project, with `largest` bytes a file at most."""

    def limited() -> None:
        if largest is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))

    own = project / "src"
    source = own if own.exists() else ROOT / "src"
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        preexec_fn=limited,
    )


def stage_name(stage: str) -> str:
    """What its messages begin with."""
    return f"{stage}-spinal-1" if stage in ("train", "finetune") else stage


def digests(folder: Path) -> dict[str, str]:
    """Every file of the outputs."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for kept in KEPT
        for path in sorted((folder / kept).rglob("*"))
        if path.is_file()
    }


def said(done: subprocess.CompletedProcess[str], stage: str, words: str) -> str:
    """The one line that a stage ends with."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    assert "Exception ignored" not in done.stderr, done.stderr
    name = stage_name(stage)
    told = [line for line in done.stderr.splitlines() if line.startswith(f"{name}: ")]
    assert len(told) == 1, done.stderr
    assert re.search(words, told[0]), told
    return told[0]


def assert_as_it_was(project: Path, before: dict[str, str], again: str | None = None) -> None:
    """No output changed and nothing half-made is left; nor after a good run of a stage."""
    assert digests(project) == before
    assert not list(project.rglob(".partial-*"))
    if again is not None:
        done = run(project, "-m", *command(again))
        assert done.returncode == 0, done.stderr
        assert_as_it_was(project, before)


# A limit on the size of a file


@pytest.fixture(scope="module")
def spoiled(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One copy for all tests that leave it as it was."""
    return finished.copy(tmp_path_factory.mktemp("full") / "project").path


@pytest.mark.parametrize(
    ("stage", "largest"),
    [
        ("fetch", 0),
        ("fetch", 20_000),  # drawings
        ("preprocess", 0),
        ("preprocess", 200),  # the table
        ("preprocess", 45_000),  # the contact sheet
        ("tfrecords", 155_000),  # a shard
        ("train", 30_000),
        ("finetune", 100_000),
        ("evaluate", 4_000),
    ],
)
def test_a_limit_on_file_sizes(spoiled: Path, stage: str, largest: int) -> None:
    before = digests(spoiled)
    done = run(spoiled, "-m", *command(stage), largest=largest)
    told = said(
        done,
        stage,
        r": File too large while it was written; .*ulimit -f.* dvc checkout$",
    )
    places = (OUTPUTS[stage], *([".quickspine"] if stage in ("train", "finetune") else []))
    assert told.startswith(tuple(f"{stage_name(stage)}: {place}" for place in places))
    # The good runs of the others are tested enough.
    assert_as_it_was(spoiled, before, stage if stage in ("fetch", "preprocess") else None)


# A disk without room


@contextlib.contextmanager
def small_disk(place: Path, size: int) -> Iterator[None]:
    """A file system of its own, of `size` bytes, at `place`; skips where it cannot be mounted."""
    place.mkdir(parents=True, exist_ok=True)
    mount = ("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place))
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"no disk can be mounted: {error}")
    if done.returncode:
        pytest.skip(f"no disk can be mounted: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(("umount", str(place)), check=True)


def fill(place: Path, left: int) -> None:
    """Leave `left` bytes of a disk free."""
    with (place / "ballast").open("wb") as file:
        file.write(bytes(shutil.disk_usage(place).free - left))


@pytest.fixture(scope="module")
def disk(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The finished project on a disk of 20 MB, without its models and runs."""
    place = tmp_path_factory.mktemp("small") / "disk"
    with small_disk(place, 20_000_000):
        for name in ("data", "pipeline", "src", "params.yaml", "dvc.yaml"):
            whole = finished.path / name
            copy: Callable[..., object] = shutil.copytree if whole.is_dir() else shutil.copy
            copy(whole, place / name)
        yield place


@pytest.mark.parametrize(
    ("stage", "left"),
    [
        ("fetch", 0),
        ("fetch", 4_096),
        ("fetch", 100_000),
        ("preprocess", 0),
        ("preprocess", 4_096),
        ("preprocess", 16_384),
        ("tfrecords", 155_648),  # all but the end of a shard fits
    ],
)
def test_a_disk_that_fills_up(disk: Path, stage: str, left: int) -> None:
    before = digests(disk)
    fill(disk, left)
    try:
        done = run(disk, "-c", TOO_LATE, *command(stage))
    finally:
        (disk / "ballast").unlink()
    told = said(done, stage, "No space left on device while it was written; make room and run")
    assert OUTPUTS[stage] in told or ".quickspine/locks" in told
    assert_as_it_was(disk, before, stage if stage != "tfrecords" else None)


@pytest.mark.parametrize("stage", ["fetch", "preprocess", "tfrecords"])
def test_too_little_room_is_said_before_the_work(disk: Path, stage: str) -> None:
    before = digests(disk)
    fill(disk, space.RESERVE + 10_000)
    try:
        done = run(disk, "-m", *command(stage))
    finally:
        (disk / "ballast").unlink()
    told = said(done, stage, r"MB are needed and 8\.0 MB are free in .*; make room, or lower")
    assert told.startswith(f"{stage}: data")
    assert_as_it_was(disk, before)


def test_a_full_disk_at_the_end_costs_no_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came lies on another disk than data/raw, and stays there until it is copied."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_PROXY", "*")
    names, rows = ("cat", "ice cream", "t-shirt"), 400
    for name in names:
        place = Path("mirror", "numpy_bitmap", f"{name}.npy")
        place.parent.mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng(len(name))
        place.write_bytes(npy.header(rows) + random.bytes(rows * npy.ROW))
    with MirrorServer(Path("mirror")) as server, small_disk(Path("data"), 800_000):
        data = Data(
            source="quickdraw",
            categories=names,
            drawings_per_category=rows,
            mirror=f"{server.url}/numpy_bitmap",
            seed=1,
        )
        with pytest.raises(
            NoSpaceError, match=r"^data: 8\.9 MB are needed and 0\.8 MB are free in"
        ):
            sources.fetch(data, Path("data/raw"))
        with monkeypatch.context() as patch:
            free = shutil.disk_usage(tmp_path)
            patch.setattr(shutil, "disk_usage", lambda folder: free)
            with pytest.raises(NoSpaceError, match=r"No space left .* what came so far is kept"):
                sources.fetch(data, Path("data/raw"))
        assert list(Path("data").iterdir()) == []
        monkeypatch.setattr(space, "RESERVE", 0)
        subprocess.run(("mount", "-o", "remount,size=2m", "data"), check=True)
        server.requests.clear()
        sources.fetch(data, Path("data/raw"))
        for name in names:
            assert server.asked(f"{name}.npy")[-1] == "bytes=0-127"  # a look at the header
            whole = Path("mirror", "numpy_bitmap", f"{name}.npy").read_bytes()
            assert Path("data/raw", f"{name}.npy").read_bytes() == whole
