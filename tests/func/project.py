"""A real project in a temporary folder: git, DVC, MLflow and the real stages, made tiny."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]

# Small enough for seconds a stage; large enough that no category lacks a training drawing.
TINY: dict[str, Any] = {
    "data.categories": ["apple", "cat", "ice cream", "zigzag"],
    "data.drawings_per_category": 60,
    "seeds": [1],
    "train.epochs": 2,
    "train.width": 0.1,
    "train.batch_size": 16,
    "finetune.image_size": 32,
    "finetune.batch_size": 32,
    "finetune.unfrozen_blocks": 1,
    "finetune.head_epochs": 1,
    "finetune.epochs": 1,
    "evaluate.bootstrap_samples": 200,
    "evaluate.latency_repeats": 3,
    "tracking.system_metrics": False,
}


def environment(path: Path) -> dict[str, str]:
    """Variables for commands in the project at `path`: its own code, this Python, its stores."""
    # Not those of a `make test` around it either: a nested make says which folder it enters.
    others = ("DVC_", "MLFLOW_", "GIT_", "MAKE", "MFLAGS")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(others)}
    kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    kept["PYTHONPATH"] = str(path / "src")  # this copy, not the installed one
    return kept


@dataclass(frozen=True)
class Project:
    """A checkout whose commands run as a user would run them."""

    path: Path

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the project; its output is shown where it fails."""
        done = subprocess.run(
            command,
            cwd=self.path,
            env=environment(self.path),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(
                f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
            )
        return done

    def repro(self) -> list[str]:
        """`dvc repro`; returns the stages that ran."""
        return stages_run(self.run("dvc", "repro").stdout)

    def set(self, changes: dict[str, Any]) -> None:
        """Change params by dotted key; comments stay."""
        yaml = YAML()
        place = self.path / "params.yaml"
        values = yaml.load(place)
        for key, value in changes.items():
            *parents, last = key.split(".")
            section = values
            for parent in parents:
                section = section[parent]
            assert last in section, key
            section[last] = value
        with place.open("w", encoding="utf-8") as file:
            yaml.dump(values, file)

    def json(self, place: str) -> Any:
        """The content of a JSON file."""
        return json.loads((self.path / place).read_text(encoding="utf-8"))

    def commit(self) -> None:
        """Commit all that git does not ignore."""
        self.run("git", "add", "-A")
        self.run("git", "commit", "-qm", "as it is")

    def copy(self, place: Path) -> Project:
        """A copy with its outputs, cache and runs."""
        shutil.copytree(self.path, place, symlinks=True)
        return Project(place)


def stages_run(said: str) -> list[str]:
    """The stages that DVC says it ran."""
    return re.findall(r"Running stage '([^']+)'", said)


def new(place: Path, changes: dict[str, Any] | None = None) -> Project:
    """A fresh project from this checkout's files, with tiny params and the given changes."""
    listed = ("git", "ls-files", "-co", "--exclude-standard", "-z")
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        file = ROOT / name
        if (file.is_symlink() or file.is_file()) and name != "dvc.lock":
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, place / name, follow_symlinks=False)
    project = Project(place)
    project.set({**TINY, **(changes or {})})
    project.run("git", "init", "-q")
    project.run("git", "config", "user.name", "Test")
    project.run("git", "config", "user.email", "test@example.org")
    project.commit()
    return project
