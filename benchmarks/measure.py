"""Alternating rounds, medians, ratios, and tables in Markdown."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from quickspine.parallel import processors

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT_S = 1800.0


class UnavailableError(Exception):
    """A contestant cannot run on this machine; the message says why, in a line."""


def progress(text: str) -> None:
    """Print a line of progress on stderr."""
    print(f"benchmarks: {text}", file=sys.stderr, flush=True)


def alternate(
    contestants: Mapping[str, Callable[[], float]], rounds: int
) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Measure every contestant once a round; each round begins with the next one.

    Args:
        contestants: name to a function that measures once.
        rounds: how many.

    Returns:
        Name to its measurements, one a round; and the name of each contestant that could not run
        to the reason. Half a series is no series, so its rounds are left out.
    """
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    unavailable: dict[str, str] = {}
    names = list(contestants)
    for number in range(rounds):
        first = number % len(names)
        for name in [*names[first:], *names[:first]]:
            if name in unavailable:
                continue
            progress(f"round {number + 1} of {rounds}, {name}")
            try:
                rates[name].append(contestants[name]())
            except UnavailableError as error:
                progress(f"{name} is left out: {error}")
                unavailable[name] = str(error)
                del rates[name]
    return rates, unavailable


def summarise(rounds: Sequence[float]) -> dict[str, Any]:
    """Median, least, greatest, and all rounds."""
    return {
        "median": median(rounds),
        "least": min(rounds),
        "greatest": max(rounds),
        "rounds": list(rounds),
    }


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """The ratio of medians, and the least and the greatest ratio within a round."""
    each = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    return {"median": median(ours) / median(theirs), "least": min(each), "greatest": max(each)}


def child_environment() -> dict[str, str]:
    """Variables of a measured process: our code, a thread a processor, no GPU, no odd settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TF_", "KERAS_", "DVC_"))}
    paths = [str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    number = str(processors())
    return kept | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)]),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "OMP_NUM_THREADS": number,
        "MKL_NUM_THREADS": number,
        "TF_NUM_INTRAOP_THREADS": number,
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "CUDA_VISIBLE_DEVICES": "-1",
    }


def run(command: Sequence[str | Path], own_code: bool = True) -> str:
    """Run a program and return what it prints.

    Args:
        command: the program and its arguments.
        own_code: whether it may import this project.

    Raises:
        RuntimeError: where it fails or takes too long, with the last line of its stderr.
    """
    environment = child_environment()
    if not own_code:
        del environment["PYTHONPATH"]
    try:
        done = subprocess.run(  # noqa: S603 - programs of the benchmarks, no shell
            [str(part) for part in command],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{command[0]} did not end within {TIMEOUT_S:.0f} s") from None
    except OSError as error:
        raise RuntimeError(f"{command[0]} does not start ({error.strerror})") from None
    if done.returncode:
        said = last_line(done.stderr) or last_line(done.stdout)
        raise RuntimeError(f"{command[0]} ended with {done.returncode} ({said})")
    return done.stdout


def last_line(text: str) -> str:
    """The last line that is not empty, at most 300 characters of it."""
    return next((line.strip()[:300] for line in reversed(text.splitlines()) if line.strip()), "")


def table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table: text to the left, numbers to the right.

    Args:
        heads: of the columns.
        rows: of cells; a float is shown with three digits, an int with its thousands.
    """
    cells = [list(heads), *([_cell(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]

    def line(row: Sequence[str]) -> str:
        first, *rest = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        right = [text.strip().rjust(width) for text, width in zip(rest, widths[1:], strict=True)]
        return "| " + " | ".join([first, *right]) + " |"

    rule = ["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])]
    return "\n".join([line(cells[0]), f"|{'|'.join(rule)}|", *map(line, cells[1:])])


def summary_table(found: Mapping[str, Mapping[str, Any]], unit: str) -> str:
    """A table of what `summarise` or `ratio` returned, a line each."""
    rows = [
        (name, *(float(each[part]) for part in ("median", "least", "greatest")))
        for name, each in found.items()
    ]
    return table((unit, "median", "least", "greatest"), rows)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    text = f"{value:,}" if isinstance(value, int) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")
