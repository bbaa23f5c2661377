"""Programs in processes of their own: with the same threads for all, and one answer each."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from quickspine.bench.turns import CannotRunError
from quickspine.parallel import processors

LIMIT_S = 600.0  # of one program, unless it says otherwise
RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?) images/s\s*$")


def surroundings(own_code: bool) -> dict[str, str]:
    """A contestant's environment variables: a thread a processor, no GPU; for ours its code."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "TF_", "KERAS_"))}
    if own_code and "PYTHONPATH" in os.environ:
        kept["PYTHONPATH"] = os.environ["PYTHONPATH"]
    number = str(processors())
    return kept | {
        "OMP_NUM_THREADS": number,
        "MKL_NUM_THREADS": number,
        "TF_NUM_INTRAOP_THREADS": number,
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "CUDA_VISIBLE_DEVICES": "-1",
    }


def answer(
    command: Sequence[str | Path], own_code: bool = False, limit_s: float | None = None
) -> str:
    """What a program prints, within `LIMIT_S` seconds unless it is given others.

    Raises:
        CannotRunError: with the last line of its stderr, where it fails or takes too long.
    """
    limit_s = LIMIT_S if limit_s is None else limit_s
    try:
        done = subprocess.run(  # noqa: S603 - programs of the bench, no shell
            [str(part) for part in command],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=limit_s,
            stdin=subprocess.DEVNULL,
            env=surroundings(own_code),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CannotRunError(f"not done after {limit_s:.0f} s") from None
    except OSError as error:
        raise CannotRunError(f"it does not start ({error.strerror})") from None
    if done.returncode:
        raise CannotRunError(f"it ended with {done.returncode} ({last_line(done.stderr)})")
    return done.stdout


def rate(command: Sequence[str | Path], own_code: bool = False) -> float:
    """The images a second that a program prints in its last line.

    Raises:
        CannotRunError: as `answer`, and where it prints no rate.
    """
    printed = answer(command, own_code).strip()
    found = RATE.search(printed)
    if found is None or float(found[1]) <= 0:
        raise CannotRunError(f"it printed no images/s ({last_line(printed)})")
    return float(found[1])


def ours(program: str, *arguments: str, limit_s: float | None = None) -> Any:
    """The JSON that a program of `quickspine.bench.programs` prints.

    Raises:
        RuntimeError: where it fails: ours must not.
    """
    command = (sys.executable, "-m", f"quickspine.bench.programs.{program}", *arguments)
    try:
        printed = answer(command, own_code=True, limit_s=limit_s)
    except CannotRunError as error:
        raise RuntimeError(f"{' '.join(command[1:])}: {error}") from None
    return json.loads(printed.strip().splitlines()[-1])


def last_line(text: str) -> str:
    """The last line that says something, in at most 200 characters."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "without a word"
