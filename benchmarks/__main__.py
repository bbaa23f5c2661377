"""Measure quickspine on this machine; print Markdown tables, and write benchmarks/results.json.

Machines drift, so compare numbers of one run only. `--quick` shows in minutes that everything
works; its numbers are not to be quoted.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import growth, reading, training, whole
from benchmarks.measure import ROOT, last_line, run
from quickspine.errors import InputError, NoSpaceError
from quickspine.files import write_json
from quickspine.parallel import processors
from quickspine.signals import stop_by_exception

RESULTS = Path(__file__).parent / "results.json"
PACKAGES = ("tensorflow", "keras", "numpy")

# Name of a section: what measures it, and what shows the result as Markdown.
SECTIONS: dict[str, tuple[Callable[[bool], dict[str, Any]], Callable[[dict[str, Any]], str]]] = {
    "training": (training.measure, training.markdown),
    "input": (reading.measure, reading.markdown),
    "growth": (growth.measure, growth.markdown),
    "whole": (whole.measure, whole.markdown),
}


def describe_machine() -> dict[str, Any]:
    """The commit, the versions and the processor that the numbers belong to."""
    try:
        commit = run(["git", "-C", ROOT, "describe", "--always", "--dirty", "--abbrev=12"])
    except RuntimeError:
        commit = "unknown"
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    models = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return {
        "commit": last_line(commit),
        "processor": models[0] if models else platform.machine(),
        "processors": processors(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
    }


def markdown(results: dict[str, Any]) -> str:
    """A line about the machine, then a heading and tables a section."""
    machine = results["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    line = (
        f"Measured {results['started'][:10]} at commit {machine['commit']} on "
        f"{machine['processor']}, {machine['processors']} processors; Python {machine['python']}, "
        f"{versions}."
    )
    if results["quick"]:
        line += " **A quick look: these numbers are not to be quoted.**"
    parts = [f"## {name}\n\n{SECTIONS[name][1](found)}" for name, found in results["found"].items()]
    return "\n\n".join([line, *parts])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the sections asked for; exit with 0 done, 1 failed or interrupted, 2 wrong params."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = ", ".join(SECTIONS)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"of {names}; default: all")
    parser.add_argument("--quick", action="store_true", help="little of everything, in minutes")
    args = parser.parse_args(arguments)
    if unknown := set(args.sections) - set(SECTIONS):
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {names}")
    stop_by_exception()
    found: dict[str, Any] = {}
    seconds: dict[str, float] = {}
    started = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        for name in args.sections or SECTIONS:
            begin = time.perf_counter()
            found[name] = SECTIONS[name][0](args.quick)
            seconds[name] = round(time.perf_counter() - begin, 1)
    except (InputError, NoSpaceError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, InputError) else 1)
    except KeyboardInterrupt:
        sys.exit("benchmarks: interrupted; nothing was kept")
    machine = describe_machine()
    results = {"started": started, "machine": machine, "quick": args.quick, "seconds": seconds}
    results["found"] = found
    write_json(RESULTS, results)
    print(f"{markdown(results)}\n\nAll numbers: {RESULTS}")


if __name__ == "__main__":
    main()
