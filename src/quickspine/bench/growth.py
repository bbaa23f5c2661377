"""Run each data stage on a growing number of drawings: its time, memory and disk.

Each stage is its real front door, in a process of its own, start-up included. The drawings are
those of a folder mirror, or doodles, repeated and changed in a few pixels so that no two are equal.
All is made in a temporary folder, and removed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import psutil  # type: ignore[import-untyped]
from numpy.typing import NDArray

import quickspine
from quickspine import categories
from quickspine.bench.turns import tell
from quickspine.errors import InputError
from quickspine.params import Params
from quickspine.sources import mirror
from quickspine.sources.doodles.drawing import draw
from quickspine.sources.storage import npy
from quickspine.space import need_space

Figures = dict[str, dict[str, dict[str, float]]]  # stage, drawings, what was measured

DRAWN = 200  # doodles of each category, where there is no mirror
STAGES = ("fetch", "preprocess", "tfrecords", "read")
OUTPUTS = {"fetch": "data/raw", "preprocess": "data/subset", "tfrecords": "data/records"}
READ = """
from pathlib import Path
from quickspine.console import start_tensorflow
from quickspine.dataset import SPLITS
from quickspine.dataset.records.reader import open_records
records = open_records(Path("data/records"))
start_tensorflow()
for split in SPLITS:
    for _ in records.ordered(split, 1024):
        pass
"""
LOOK_S = 0.02  # seconds between two looks at the memory
MIB = 2**20


def measure(params: Params, drawings: Sequence[int], folder: Path, real: str | None) -> Figures:
    """Measure every stage at every number of drawings.

    Args:
        params: whose records and splits are made.
        drawings: how many, all in all.
        folder: where to; nothing is left there.
        real: a folder mirror of Quick, Draw!'s drawings, or None for doodles.

    Returns:
        `{stage: {drawings: {"seconds", "rss_mib", "disk_mib"}}}`: the seconds of the whole process,
        the most memory of it and its workers together, and the size of what it wrote.

    Raises:
        InputError: if there is no such mirror, or a stage says no.
        NoSpaceError: if the disk has no room for the largest number.
    """
    make_sure_of_room(max(drawings), folder)
    figures: Figures = {stage: {} for stage in STAGES}
    for count in drawings:
        with tempfile.TemporaryDirectory(dir=folder) as name:
            place = Path(name)
            _make(params, count, place, real)
            left = {"fetch": "mirror", "preprocess": "data/raw", "tfrecords": "data/subset"}
            for stage in STAGES:
                tell(f"scale: {stage}, {count:,} drawings")
                figures[stage][str(count)] = _stage(stage, place)
                if stage in left:
                    shutil.rmtree(place / left[stage])
    return figures


def make_sure_of_room(drawings: int, folder: Path) -> None:
    """Before the work.

    Raises:
        NoSpaceError: if the disk of `folder` has too little room for that many.
    """
    # Mirror and raw, raw and subset, subset and records: two at a time, and the reserve of each.
    need_space(folder, 3 * drawings * npy.ROW, "ask for fewer --drawings")


def _make(params: Params, count: int, place: Path, real: str | None) -> None:
    """A mirror of `count` drawings in `place`, and params that ask for all of them."""
    target = place / "mirror"
    target.mkdir()
    names = []
    found = list(_samples(real))
    for number, (name, samples) in enumerate(found):
        rows = count // len(found) + (number < count % len(found))
        if rows:
            names.append(name)
            with (target / mirror.file_name(name)).open("wb") as file:
                file.write(npy.header(rows))
                for start in range(0, rows, len(samples)):
                    chosen = samples[: rows - start]
                    file.write(_changed(chosen, start // len(samples)).tobytes())
    values = params.model_dump(mode="json")
    values["data"] |= {"source": "quickdraw", "categories": names, "allow_fewer": True}
    values["data"] |= {"drawings_per_category": -(-count // len(found)), "mirror": str(target)}
    (place / "params.yaml").write_text(json.dumps(values))  # YAML too


def _samples(real: str | None) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Categories and some drawings of each, uint8 [n, 784]."""
    if real is None:
        yield from (
            (name, draw(name, 1, 0, DRAWN).reshape(-1, npy.ROW)) for name in categories.DOODLES
        )
        return
    place = mirror.parse(real)
    if isinstance(place, mirror.Web):
        raise InputError(f"--mirror: a folder is needed. Received: {place.shown}")
    for name in categories.quickdraw():
        if place.path(name).is_file():
            yield name, np.load(place.path(name), mmap_mode="r", allow_pickle=False)


def _changed(drawings: NDArray[np.uint8], again: int) -> NDArray[np.uint8]:
    """The drawings, for the `again`th time: eight pixels differ from all times before."""
    changed = np.array(drawings)
    noise = np.frombuffer(np.uint64(again * 0x9E3779B97F4A7C15 % 2**64).tobytes(), np.uint8)
    at = 8 * (again % (npy.ROW // 8))
    changed[:, at : at + 8] ^= noise
    return changed


def _stage(stage: str, place: Path) -> dict[str, float]:
    """Run a stage in the project at `place`."""
    command = ["-c", READ] if stage == "read" else ["-m", f"pipeline.{stage}"]
    source = Path(quickspine.__file__).parents[1]
    paths = [str(Path.cwd()), str(source), os.environ.get("PYTHONPATH", "")]
    start, most = time.perf_counter(), 0
    with (place / "said").open("w+") as said:
        process = subprocess.Popen(  # noqa: S603 (this Python, and a stage of our own)
            [sys.executable, *command],
            cwd=place,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
            stdout=said,
            stderr=said,
        )
        try:
            while process.poll() is None:
                most = max(most, _resident(process.pid))
                time.sleep(LOOK_S)
        finally:
            process.kill()
            process.wait()
        seconds = time.perf_counter() - start
        said.seek(0)
        if process.returncode:
            raise InputError(f"{stage} ended with {process.returncode}: {said.read()[-2000:]}")
    size = 0
    if stage in OUTPUTS:
        size = sum(path.stat().st_size for path in (place / OUTPUTS[stage]).rglob("*"))
    return {
        "seconds": round(seconds, 3),
        "rss_mib": round(most / MIB, 1),
        "disk_mib": round(size / MIB, 2),
    }


def _resident(pid: int) -> int:
    """Bytes of memory of a process and its workers; what they share is counted for each."""
    total = 0
    try:
        process = psutil.Process(pid)
        for one in [process, *process.children(recursive=True)]:
            total += one.memory_info().rss
    except psutil.Error:  # one ends at this moment
        pass
    return total
