"""Time, memory and disk of the data stages against the number of drawings.

Each stage is its real entry point in a process of its own, start-up included. The drawings are
doodles, repeated, with eight pixels changed each time so that no two are equal.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil  # type: ignore[import-untyped]
from numpy.typing import NDArray

from benchmarks.measure import ROOT, child_environment, last_line, progress, table
from quickspine.categories import DOODLES
from quickspine.errors import NoSpaceError
from quickspine.params import load
from quickspine.sources.doodles.drawing import draw
from quickspine.space import need_space

OUTPUTS = {"fetch": "data/raw", "preprocess": "data/subset", "tfrecords": "data/records"}
DRAWN = 200  # doodles of each category, before they are repeated
PIXELS = 784
POLL_S = 0.02
MIB = 2**20


def measure(quick: bool) -> dict[str, Any]:
    """Run every stage once at each number of drawings; leave out what the disk has no room for."""
    points, left_out = [], []
    for count in (1_000, 10_000) if quick else (10_000, 100_000, 1_000_000):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            try:
                need_space(folder, 4 * count * PIXELS, "measure fewer drawings")
            except NoSpaceError as error:
                left_out.append(str(error))
                continue
            make_project(folder, count)
            for stage in OUTPUTS:
                progress(f"growth: {stage}, {count:,} drawings")
                points.append({"stage": stage, "drawings": count, **run_stage(stage, folder)})
    return {"points": points, "left_out": left_out}


def markdown(found: dict[str, Any]) -> str:
    """Show a line a stage and number of drawings, and preprocess and tfrecords together."""
    heads = ("stage", "drawings", "seconds", "drawings a second", "memory, MiB", "disk, MiB")
    rows = [
        (
            point["stage"],
            point["drawings"],
            f"{point['seconds']:.1f}",
            round(point["drawings"] / point["seconds"]),
            round(point["memory_mib"]),
            round(point["disk_mib"]),
        )
        for point in found["points"]
    ]
    lines = [
        f"preprocess and tfrecords together, {count:,} drawings: {rate:,.0f} a second."
        for count, rate in rates_together(found["points"]).items()
    ]
    return "\n\n".join([table(heads, rows), "\n".join(lines), *found["left_out"]])


def rates_together(points: list[dict[str, Any]]) -> dict[int, float]:
    """Drawings a second of preprocess and tfrecords, one after the other, by number of drawings."""
    seconds: dict[int, float] = {}
    for point in points:
        if point["stage"] in ("preprocess", "tfrecords"):
            seconds[point["drawings"]] = seconds.get(point["drawings"], 0.0) + point["seconds"]
    return {count: count / taken for count, taken in seconds.items()}


def make_project(folder: Path, count: int) -> None:
    """Write a mirror of `count` distinct drawings, and a params.yaml that asks for all of them."""
    mirror = folder / "mirror"
    mirror.mkdir()
    for number, name in enumerate(DOODLES):
        rows = count // len(DOODLES) + (number < count % len(DOODLES))
        drawings = draw(name, 1, 0, DRAWN).reshape(-1, PIXELS)
        place = mirror / f"{name}.npy"
        written = np.lib.format.open_memmap(place, "w+", np.uint8, (rows, PIXELS))
        for again, start in enumerate(range(0, rows, DRAWN)):
            part = written[start : start + DRAWN]
            part[:] = change_pixels(drawings, again)[: len(part)]
        written.flush()
    values = load(ROOT / "params.yaml").model_dump(mode="json")
    values["data"] |= {"source": "quickdraw", "mirror": str(mirror), "allow_fewer": True}
    values["data"] |= {"categories": list(DOODLES)}
    values["data"] |= {"drawings_per_category": -(-count // len(DOODLES))}
    (folder / "params.yaml").write_text(json.dumps(values), encoding="utf-8")  # YAML too
    shutil.copy(ROOT / "dvc.yaml", folder)


def change_pixels(drawings: NDArray[np.uint8], again: int) -> NDArray[np.uint8]:
    """The drawings [n, 784] for the `again`th time: eight pixels differ from all times before."""
    changed = drawings.copy()
    noise = np.frombuffer(np.uint64(again * 0x9E3779B97F4A7C15 % 2**64).tobytes(), np.uint8)
    offset = 8 * (again % (PIXELS // 8))
    changed[:, offset : offset + 8] ^= noise
    return changed


def run_stage(stage: str, folder: Path) -> dict[str, float]:
    """Run a stage in the project; its seconds, greatest memory, and the size of its output.

    Raises:
        RuntimeError: if the stage fails.
    """
    begin, greatest = time.perf_counter(), 0
    with (folder / "log").open("w+") as log:
        process = subprocess.Popen(  # noqa: S603 - this Python, and a stage of our own
            [sys.executable, "-m", f"pipeline.{stage}"],
            cwd=folder,
            env=child_environment(),
            stdout=log,
            stderr=log,
        )
        try:
            while process.poll() is None:
                greatest = max(greatest, _resident(process.pid))
                time.sleep(POLL_S)
        finally:
            process.kill()
            process.wait()
        seconds = time.perf_counter() - begin
        log.seek(0)
        if process.returncode:
            raise RuntimeError(f"{stage} ended with {process.returncode}: {last_line(log.read())}")
    size = sum(path.stat().st_size for path in (folder / OUTPUTS[stage]).rglob("*"))
    return {"seconds": seconds, "memory_mib": greatest / MIB, "disk_mib": size / MIB}


def _resident(pid: int) -> int:
    """Bytes of memory of a process and its workers; shared pages are counted for each."""
    try:
        process = psutil.Process(pid)
        several = [process, *process.children(recursive=True)]
        return sum(one.memory_info().rss for one in several)
    except psutil.Error:  # one ends at this moment
        return 0
