"""The digest of the code that a result depends on, so that none made by older code is reused.

Which code that is stands once, in dvc.yaml: checkpoints and kept features name the same entries.
"""

from __future__ import annotations

from pathlib import Path

import quickspine
from quickspine.files import digest, sha256
from quickspine.yaml_file import read

PROJECT = Path(quickspine.__file__).resolve().parents[2]
HEAD = "${item.head}"


def code_files(stage: str, head: str | None = None, project: Path = PROJECT) -> list[Path]:
    """List the Python files among the dependencies of a stage in dvc.yaml.

    Args:
        stage: its name in dvc.yaml, such as "train".
        head: the head of a training; None leaves out the entry that names the head, for what
            all heads share.
        project: the folder of dvc.yaml.

    Returns:
        Paths relative to `project`, sorted.
    """
    entries = read(project / "dvc.yaml")["stages"][stage]["deps"]
    if head is None:
        entries = [entry for entry in entries if HEAD not in entry]
    roots = [project / entry.replace(HEAD, head or "") for entry in entries]
    files = {file for root in roots for file in ([root] if root.is_file() else root.rglob("*.py"))}
    return sorted(f.relative_to(project) for f in files if f.suffix == ".py")


def code_digest(stage: str, head: str | None = None, project: Path = PROJECT) -> str:
    """Hex sha256 of the files of `code_files`: their paths and their bytes."""
    files = code_files(stage, head, project)
    return digest({file.as_posix(): sha256(project / file) for file in files})
