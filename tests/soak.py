"""Kill a real `dvc repro` at random moments, start it again, and compare every byte.

    python -m tests.soak --kills 50 --jobs 2

Each kill has a project of its own, tiny and complete. SIGKILL hits the whole process group, dvc
alone (its stage is orphaned) or the stage alone; `--stops` sends SIGTERM to the stage instead. Then
`dvc repro` runs at once, to its end. A trial is good if all outputs equal those of a project that
was never killed, nothing half-made is left, and no run is left RUNNING.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import itertools
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped] # ships no types

from tests.func.project import Project, environment, new

KILLS = ("the whole group", "dvc alone", "the stage alone")
STOP = "the stage, by SIGTERM"
SETTINGS = {  # trainings take longer than their start, so that they are hit too
    "heads": ["spinal"],
    "data.drawings_per_category": 240,
    "train.epochs": 12,
    "finetune.head_epochs": 10,
    "finetune.epochs": 6,
}
LIMIT_S = 1200.0
TORN_LOCK = "dvc.lock' validation failed"
# What differs from run to run.
TIMED = re.compile(rb'"(latency_ms|median_ms|p95_ms|training_seconds)": [0-9.nul]+')
TIMED_PAGES = re.compile(r"evaluation/(report\.html|model-card\.md|plots/latency-.*)")


@dataclass(frozen=True)
class Trial:
    """One kill: its number from 1, what is hit, and the seconds after the start of `dvc repro`."""

    number: int
    way: str
    moment: float


def outputs(project: Project) -> dict[str, str]:
    """sha256 of every output, without timings."""
    found = {}
    for folder in ("data", "models", "evaluation"):
        for path in sorted((project.path / folder).rglob("*")):
            name = path.relative_to(project.path).as_posix()
            if path.is_file() and not TIMED_PAGES.fullmatch(name):
                found[name] = hashlib.sha256(TIMED.sub(b"", path.read_bytes())).hexdigest()
    return found


def running_or_lost(project: Project) -> list[str]:
    """Names of runs that are left RUNNING, or of which none is FINISHED."""
    place = project.path / "mlruns" / "mlflow.db"
    if not place.exists():
        return ["no store"]
    with contextlib.closing(sqlite3.connect(place)) as store:
        runs = store.execute("SELECT name, status FROM runs").fetchall()
    finished = {name for name, status in runs if status == "FINISHED"}
    return [name for name, status in runs if status == "RUNNING" or name not in finished]


def start(project: Project, log: Path) -> subprocess.Popen[bytes]:
    """Start `dvc repro` as the leader of a process group."""
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


def hit(process: subprocess.Popen[bytes], way: str) -> bool:
    """Send the signal and wait for the end of what it hits; False if all was done already."""
    while process.poll() is None:
        if way in KILLS[:2]:
            kill = os.killpg if way == KILLS[0] else os.kill
            kill(process.pid, signal.SIGKILL)
            return True
        stages = []
        with contextlib.suppress(psutil.NoSuchProcess):
            below = psutil.Process(process.pid).children(recursive=True)
            stages = [each for each in below if any("pipeline." in part for part in command(each))]
        for each in stages:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.terminate() if way == STOP else each.kill()
        psutil.wait_procs(stages)
        if stages:  # else it is between two stages
            return True
        time.sleep(0.01)
    return False


def command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.NoSuchProcess:
        return []


def attempt(trial: Trial, folder: Path, expected: dict[str, str]) -> str:
    """Kill once, start again at once, compare; returns the problems, empty where all is well."""
    project = Project(folder / "template").copy(folder / f"kill-{trial.number:02d}")
    log = folder / f"kill-{trial.number:02d}.log"
    processes = [process := start(project, log)]
    try:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(trial.moment)
        struck = hit(process, trial.way)
        process.wait()
        processes.append(again := start(project, log))  # beside the orphan, where there is one
        code = again.wait(LIMIT_S)
        torn = code != 0 and TORN_LOCK in log.read_text(errors="replace")
        if torn:  # DVC does not write it atomically; docs/reliability.md says what to do
            (project.path / "dvc.lock").unlink()
            processes.append(again := start(project, log))
            code = again.wait(LIMIT_S)
    finally:
        for each in processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(each.pid, signal.SIGKILL)
    found = outputs(project)
    problems = {
        "exit code": [str(code)] if code else [],
        "differing": [k for k in {*found, *expected} if found.get(k) != expected.get(k)],
        "half-made": [path.name for path in project.path.rglob(".partial-*")],
        "runs": running_or_lost(project),
    }
    text = log.read_text(errors="replace")
    stages = re.findall(r"Running stage '([^']+)'", text.partition("is gone")[0])
    where = stages[-1] if stages else "before the first stage"
    resumed = ", resumed from a checkpoint" if "going on from its checkpoint" in text else ""
    missed = "" if struck else " (it had ended before)"
    result = "; ".join(f"{name}: {', '.join(each)}" for name, each in problems.items() if each)
    lock = ", dvc.lock was torn" if torn else ""
    line = f"{trial.way} at {trial.moment:.1f} s{missed}, last stage {where}{resumed}{lock}"
    print(f"{trial.number:3d}  {line}: {result or 'identical'}", flush=True)
    if not result:
        shutil.rmtree(project.path)
    return result


def undisturbed(folder: Path, number: int) -> tuple[dict[str, str], float]:
    """A project that nothing disturbs: its outputs, and the seconds it took."""
    project = Project(folder / "template").copy(folder / f"whole-{number}")
    begin = time.monotonic()
    log = folder / f"whole-{number}.log"
    if code := start(project, log).wait(LIMIT_S):
        sys.exit(f"soak: dvc repro ended with {code} undisturbed; see {log}")
    return outputs(project), time.monotonic() - begin


def main() -> None:
    """Run all trials; exit with 0 where every one was identical."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--stops", type=int, default=0, help="as well: stopped by SIGTERM")
    parser.add_argument("--jobs", type=int, default=2, help="projects at a time")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    print(f"soak: projects and logs in {folder}", flush=True)
    new(folder / "template", SETTINGS)  # the code as it is now, whatever is edited meanwhile
    with ThreadPoolExecutor(args.jobs) as pool:
        # As many at a time as later, for the same pace.
        whole = list(pool.map(lambda number: undisturbed(folder, number), range(args.jobs)))
        expected, span = whole[0][0], min(seconds for _, seconds in whole)
        if any(found != expected for found, _ in whole):
            sys.exit(f"soak: undisturbed projects differ already; see {folder}")
        print(f"soak: undisturbed: {span:.0f} s, {len(expected)} files of outputs", flush=True)
        ways = [*itertools.islice(itertools.cycle(KILLS), args.kills), *[STOP] * args.stops]
        moments = random.Random(args.seed)  # noqa: S311 - no secret
        trials = [Trial(n, way, span * moments.random()) for n, way in enumerate(ways, start=1)]
        results = list(pool.map(lambda trial: attempt(trial, folder, expected), trials))
    print(f"soak: {results.count('')} of {len(trials)} ended byte-identical")
    if not any(results):
        shutil.rmtree(folder)
    sys.exit(any(results))


if __name__ == "__main__":
    main()
