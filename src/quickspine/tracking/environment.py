"""What a run ran on: commit, interpreter, packages, processor, GPUs. No secrets, no paths."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

PACKAGES = ("quickspine", "tensorflow", "keras", "numpy", "mlflow", "dvc", "tensorflow-datasets")
TIMEOUT_S = 10.0  # of a program that is asked


def versions(*names: str) -> dict[str, str]:
    """Installed versions; what is not installed is left out."""
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def environment() -> dict[str, Any]:
    """What `environment.json` of a run holds."""
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "processor": _processor(),
        "processors": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "gpus": gpus(),
        "packages": versions(*PACKAGES),
    }


def gpus() -> list[str]:
    """The names of NVIDIA's GPUs, by its driver's own program; none without it."""
    text = _answer("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
    return [line.strip() for line in (text or "").splitlines() if line.strip()]


def git_facts(folder: Path | None = None) -> dict[str, str]:
    """Tags `git_commit` and `dirty` ("true" where tracked files below the folder were changed).

    Empty without git, without a repository, and before its first commit.

    Args:
        folder: the project's; the working directory where None.
    """
    place = str(folder or Path.cwd())
    commit = _answer("git", "-C", place, "rev-parse", "--verify", "HEAD")
    if not commit:
        return {}
    facts = {"git_commit": commit.strip()}
    changes = _answer(
        "git", "-C", place, "status", "--porcelain", "--untracked-files=no", "--", "."
    )
    if changes is not None:
        facts["dirty"] = "true" if changes.strip() else "false"
    return facts


def _processor() -> str:
    if sys.platform == "darwin":
        return (_answer("sysctl", "-n", "machdep.cpu.brand_string") or "").strip()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _answer(program: str, *arguments: str) -> str | None:
    """What a program prints; None where it is missing, slow or unwilling."""
    path = shutil.which(program)
    if path is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - fixed programs, no shell
            [path, *arguments],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},  # a look must not disturb a commit
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout if done.returncode == 0 else None
