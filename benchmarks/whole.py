"""The whole pipeline: `dvc repro` from empty outputs, and once more with nothing to do."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.measure import ROOT, child_environment, progress, table
from quickspine import presets

COPIED = ("pipeline", "src", "presets", "dvc.yaml", "params.yaml")
STARTS = re.compile(r"^Running stage '([^'@]+)(?:@[^']*)?'")


def measure(quick: bool) -> dict[str, Any]:
    """Measure the seconds of both runs and of each kind of stage, in a copy of the project.

    It runs once, not in rounds: it takes minutes, and has no peer to be compared with.

    Raises:
        RuntimeError: if a run fails, or the second one has something to do.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_project(folder, preset="quick" if quick else "default")
        list(_dvc("init", "--no-scm", "--quiet", folder=folder))
        progress("whole: dvc repro from empty outputs; it takes minutes")
        begin, starts = time.perf_counter(), list[tuple[str, float]]()
        for line in _dvc("repro", folder=folder):
            if found := STARTS.match(line):
                starts.append((found[1], time.perf_counter()))
        end = time.perf_counter()
        progress("whole: dvc repro with nothing to do")
        if any(map(STARTS.match, _dvc("repro", folder=folder))):
            raise RuntimeError("a second dvc repro ran a stage")
        again = time.perf_counter() - end
    stages: dict[str, dict[str, float]] = {}
    for (stage, started), (_, ended) in zip(starts, [*starts[1:], ("", end)], strict=True):
        entry = stages.setdefault(stage, {"runs": 0, "seconds": 0.0})
        entry["runs"] += 1
        entry["seconds"] += ended - started
    return {"seconds": end - begin, "again": again, "stages": stages}


def markdown(found: dict[str, Any]) -> str:
    """Show a line a kind of stage, and both runs."""
    rows = [
        (name, each["runs"], f"{each['seconds']:.1f}") for name, each in found["stages"].items()
    ]
    rows += [("dvc repro from empty outputs", "", f"{found['seconds']:.1f}")]
    rows += [("dvc repro with nothing to do", "", f"{found['again']:.1f}")]
    return table(("stage", "runs", "seconds"), rows)


def copy_project(folder: Path, preset: str) -> None:
    """Copy what the stages need, with the settings of a preset."""
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copyfile(source, folder / name)
    presets.apply(preset, folder / "params.yaml", folder / "presets")


def _dvc(*arguments: str, folder: Path) -> Iterator[str]:
    """The lines that a DVC command prints, as it prints them.

    Raises:
        RuntimeError: if it fails.
    """
    environment = child_environment()
    environment["PYTHONPATH"] = str(folder / "src")
    printed: list[str] = []
    with subprocess.Popen(  # noqa: S603 - this Python's DVC, no shell
        [sys.executable, "-m", "dvc", *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        for line in process.stdout or ():
            printed.append(line)
            yield line
    if process.returncode:
        raise RuntimeError(
            f"dvc {' '.join(arguments)} ended with {process.returncode}:\n{''.join(printed[-20:])}"
        )
