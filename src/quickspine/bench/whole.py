"""The whole pipeline from empty outputs, as `dvc repro` runs it, and once more with nothing to do.

A copy of the project in a temporary folder, with a cache and a store of runs of its own; once, not
in rounds: it takes minutes, and has nobody to be measured in turn with.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import quickspine
from quickspine.bench import targets
from quickspine.bench.sections import Bench, Found
from quickspine.bench.table import table
from quickspine.bench.turns import summary, tell
from quickspine.params import Params

TITLE = "The whole: dvc repro from empty outputs"
PROJECT = Path(quickspine.__file__).parents[2]
COPIED = ("pipeline", "src", "dvc.yaml", "params.yaml")
RUNNING = re.compile(r"^Running stage '([^'@]+)(?:@[^']*)?'")
DVC = (sys.executable, "-m", "dvc")


def measure(bench: Bench) -> Found:
    """Seconds of a first run, of each kind of stage in it, and of runs with nothing to do.

    Raises:
        RuntimeError: if a run fails, or the later ones have something to do.
    """
    if not (PROJECT / "dvc.yaml").is_file():
        return {"skipped": "the package runs from a place without its project's dvc.yaml"}
    _copy(bench)
    for _ in _lines("init", "--no-scm", "--quiet", folder=bench.folder):
        pass
    tell("whole: dvc repro from empty outputs; it takes minutes")
    start, stages = time.perf_counter(), list[tuple[str, float]]()
    for line in _lines("repro", folder=bench.folder):
        found = RUNNING.match(line)
        if found:
            stages.append((found[1], time.perf_counter()))
    end = time.perf_counter()
    seconds: dict[str, list[float]] = {}
    for (name, begun), (_, ended) in zip(stages, [*stages[1:], ("", end)], strict=True):
        seconds.setdefault(name, []).append(ended - begun)
    again = []
    for _ in range(bench.size.rounds):
        tell("whole: dvc repro with nothing to do")
        now = time.perf_counter()
        ran = [line for line in _lines("repro", folder=bench.folder) if RUNNING.match(line)]
        again.append(time.perf_counter() - now)
        if ran:
            raise RuntimeError(f"a second dvc repro ran {ran}")
    return {
        "default": bench.size.whole is None,
        "seconds": end - start,
        "before": stages[0][1] - start,
        "stages": {
            name: {"runs": len(each), "seconds": sum(each)} for name, each in seconds.items()
        },
        "again": summary(again),
    }


def markdown(found: Found) -> str:
    """A table of the stages, and the targets."""
    if "skipped" in found:
        return f"Skipped: {found['skipped']}."
    params = "params.yaml as it is" if found["default"] else "params.yaml made small"
    rows = [("DVC, before the first stage", "", f"{found['before']:.1f}")]
    rows += [
        (name, str(each["runs"]), f"{each['seconds']:.1f}")
        for name, each in found["stages"].items()
    ]
    rows.append(("all", "", f"{found['seconds']:.1f}"))
    reached = [
        (targets.WHOLE, "", found["seconds"] if found["default"] else None),
        (targets.AGAIN, "", found["again"]["median"]),
    ]
    return (
        f"By {params}, once; DVC's own part of a stage is counted with it.\n\n"
        + table(("stage", "runs", "seconds"), rows)
        + "\n\nAimed at:\n\n"
        + targets.lines(reached)
    )


def _copy(bench: Bench) -> None:
    """The project in the section's folder, with small params where that is asked for."""
    for name in COPIED:
        source = bench.place if name == "params.yaml" else PROJECT / name
        target = bench.folder / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg*"))
        else:
            shutil.copyfile(source, target)
    if bench.size.whole is not None:
        small = _small(bench.params, bench.size.whole)
        (bench.folder / "params.yaml").write_text(json.dumps(small))  # YAML too


def _small(params: Params, drawings: int) -> dict[str, Any]:
    """Of one seed, with few drawings and one epoch of each phase."""
    found = params.model_dump(mode="json")
    found["data"] |= {"drawings_per_category": drawings}
    found["train"] |= {"epochs": 1}
    found["finetune"] |= {"head_epochs": 1, "epochs": 1}
    return {**found, "seeds": found["seeds"][:1]}


def _lines(*arguments: str, folder: Path) -> Iterator[str]:
    """What a DVC command says, line by line, as it says it.

    Raises:
        RuntimeError: if it fails: ours must not.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DVC_", "MLFLOW_", "GIT_"))}
    path = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)])
    said: list[str] = []
    with subprocess.Popen(  # noqa: S603 - this Python's DVC, no shell
        [*DVC, *arguments],
        cwd=folder,
        env={**kept, "PATH": path, "PYTHONPATH": str(folder / "src")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        for line in process.stdout or ():
            said.append(line)
            yield line
    if process.returncode:
        told = "".join(said[-20:])
        raise RuntimeError(f"dvc {' '.join(arguments)} ended with {process.returncode}:\n{told}")
