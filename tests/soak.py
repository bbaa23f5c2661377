"""Kill a real `dvc repro` at random moments, start it again, and compare every byte.

    python -m tests.soak --kills 50 --jobs 2

Each kill has a project of its own, tiny and complete. It is struck with SIGKILL in one of three
ways: the whole process group, dvc alone (its stage is orphaned), or the stage alone. Then
`dvc repro` runs at once, to its end. Identical: data, models, predictions and evaluation equal
those of a project that was never killed, nothing half-made is left, no run is left RUNNING.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import itertools
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped] # ships no types

from quickspine.dataset.records.seeds import derive
from quickspine.files import write_json
from tests.func.project import Project, environment, new

KILLS = ("the whole group", "dvc alone", "the stage alone")
STOP = "the stage, by SIGTERM"
SETTINGS = {  # trainings take longer than their start, so that they are struck too
    "heads": ["spinal"],  # every stage once
    "data.drawings_per_category": 240,
    "train.epochs": 12,
    "finetune.head_epochs": 10,
    "finetune.epochs": 6,
}
LIMIT_S = 1200.0
# What differs from run to run.
TIMED = re.compile(rb'"(latency_ms|median_ms|p95_ms|training_seconds)": [0-9.nul]+')


@dataclass(frozen=True)
class Trial:
    """One kill.

    Attributes:
        number: counts from 1.
        way: what was struck.
        moment: seconds after the start of `dvc repro`.
    """

    number: int
    way: str
    moment: float


def outputs(project: Project) -> dict[str, str]:
    """sha256 of every output, without what is timed."""
    found = {}
    for place in ("data", "models", "evaluation"):
        for path in sorted((project.path / place).rglob("*")):
            name = path.relative_to(project.path).as_posix()
            if path.is_file() and name != "evaluation/report.html":  # shows latencies
                content = TIMED.sub(b"", path.read_bytes())
                found[name] = hashlib.sha256(content).hexdigest()
    return found


def run_statuses(project: Project) -> dict[str, list[str]]:
    """Statuses of the runs, by name."""
    with contextlib.closing(sqlite3.connect(project.path / "mlruns" / "mlflow.db")) as store:
        rows = store.execute("SELECT name, status FROM runs").fetchall()
    names = {name for name, _ in rows}
    return {name: sorted(status for n, status in rows if n == name) for name in sorted(names)}


def start(project: Project, log: Path) -> subprocess.Popen[bytes]:
    """`dvc repro` as the leader of a process group."""
    with log.open("ab") as file:
        return subprocess.Popen(
            ("dvc", "repro"),
            cwd=project.path,
            env=environment(project.path),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def stages(process: subprocess.Popen[bytes]) -> list[Any]:
    """The processes of the stage that runs now."""
    try:
        below = psutil.Process(process.pid).children(recursive=True)
        return [each for each in below if any("pipeline." in part for part in each.cmdline())]
    except psutil.NoSuchProcess:
        return []


def strike(process: subprocess.Popen[bytes], way: str) -> float | None:
    """Kill; seconds until what was struck was gone, None if there was nothing any more."""
    before = time.monotonic()
    if process.poll() is not None:
        return None
    if way == "the whole group":
        os.killpg(process.pid, signal.SIGKILL)
    elif way == "dvc alone":
        process.kill()
    else:
        while not (found := stages(process)):  # between two stages: the next one
            if process.poll() is not None:
                return None
            time.sleep(0.01)
        before = time.monotonic()
        for each in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.terminate() if way == STOP else each.kill()
        psutil.wait_procs(found)
    return time.monotonic() - before


def attempt(trial: Trial, folder: Path, expected: dict[str, str]) -> dict[str, Any]:
    """Kill once, start again at once, compare; sooner where it had ended before."""
    place = folder / f"kill-{trial.number:02d}"
    shutil.rmtree(place, ignore_errors=True)
    project, log = new(place, SETTINGS), place.with_suffix(".log")
    processes = [process := start(project, log)]
    try:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(trial.moment)
        gone = strike(process, trial.way)
        process.wait()
        if gone is None:
            return attempt(replace(trial, moment=trial.moment * 0.8), folder, expected)
        stage = re.findall(r"Running stage '([^']+)'", log.read_text(errors="replace"))[-1:]
        processes.append(again := start(project, log))  # beside the orphan, where there is one
        code = again.wait(LIMIT_S)
    finally:
        for each in processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(each.pid, signal.SIGKILL)
    found, statuses = outputs(project), run_statuses(project)
    problems = {
        "exit code": [str(code)] if code else [],
        "differing": [k for k in {*found, *expected} if found.get(k) != expected.get(k)],
        "half-made": [path.name for path in project.path.rglob(".partial-*")],
        "running": [name for name, of in statuses.items() if "RUNNING" in of],
        "not finished": [name for name, of in statuses.items() if "FINISHED" not in of],
    }
    said = log.read_text(errors="replace")
    if not any(problems.values()):
        shutil.rmtree(place)
    return {
        "number": trial.number,
        "way": trial.way,
        "moment_s": round(trial.moment, 1),
        "gone_s": round(gone, 1),
        "stage": stage[0] if stage else "before the first",
        "resumed": "going on from its checkpoint" in said,
        "problems": {name: sorted(found) for name, found in problems.items() if found},
    }


def whole(folder: Path, number: int) -> tuple[dict[str, str], float]:
    """A project that nothing disturbs: its outputs, and the seconds it took."""
    project, before = new(folder / f"whole-{number}", SETTINGS), time.monotonic()
    log = folder / f"whole-{number}.log"
    if code := start(project, log).wait(LIMIT_S):
        sys.exit(f"soak: dvc repro ended with {code} undisturbed; see {log}")
    return outputs(project), time.monotonic() - before


def line(result: dict[str, Any]) -> str:
    """A trial in words."""
    ended = "; ".join(f"{k}: {', '.join(v)}" for k, v in result["problems"].items()) or "identical"
    went = ", went on from a checkpoint" if result["resumed"] else ""
    struck = f"{result['way']} at {result['moment_s']} s ({result['stage']})"
    if result["way"] == STOP:
        struck += f", gone after {result['gone_s']} s"
    return f"{result['number']:3d}  {struck}{went}: {ended}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--stops", type=int, default=0, help="as well: stopped by SIGTERM")
    parser.add_argument("--jobs", type=int, default=2, help="projects at a time")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--out", type=Path, default=Path("bench/soak.json"))
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    print(f"soak: projects and logs in {folder}", flush=True)
    with ThreadPoolExecutor(args.jobs) as pool:  # as many at a time as later, for the same pace
        undisturbed = list(pool.map(lambda number: whole(folder, number), range(args.jobs)))
    expected, spans = undisturbed[0][0], [span for _, span in undisturbed]
    if any(found != expected for found, _ in undisturbed):
        sys.exit(f"soak: undisturbed ones differ already; see {folder}")
    span = min(spans)
    print(f"soak: undisturbed: {span:.0f} s, {len(expected)} files of outputs", flush=True)
    ways = [*itertools.islice(itertools.cycle(KILLS), args.kills), *[STOP] * args.stops]
    shares = [derive(args.seed, "moment", number) / 2**31 for number in range(len(ways))]
    both = enumerate(zip(ways, shares, strict=True), start=1)
    trials = [Trial(number, way, span * share) for number, (way, share) in both]
    results = []
    with ThreadPoolExecutor(args.jobs) as pool:
        for result in pool.map(lambda trial: attempt(trial, folder, expected), trials):
            results.append(result)
            print(line(result), flush=True)
    good = sum(not result["problems"] for result in results)
    write_json(args.out, {"undisturbed_s": round(span, 1), "kills": results})
    resumed = sum(result["resumed"] for result in results)
    went = f"{resumed} of them went on from a checkpoint"
    print(f"soak: {good} of {len(trials)} ended byte-identical; {went}")
    if good == len(trials):
        shutil.rmtree(folder)
    sys.exit(good != len(trials))


if __name__ == "__main__":
    main()
