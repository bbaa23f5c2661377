"""Which files of a folder belong together: a set's images and labels, of train and of test.

`train-images-idx3-ubyte`, `t10k-labels-idx1-ubyte`: MNIST's names, Fashion-MNIST's and KMNIST's.
`emnist-letters-train-images-idx3-ubyte.gz`, `qmnist-test-labels-idx2-int.gz`: with the name of the
set before them. A dot before `idx`, capitals and a missing `.gz` make no difference.
"""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from quickspine.errors import InputError
from quickspine.params import Data
from quickspine.params.errors import shown

UNNAMED = "mnist"  # the set whose files have nothing before their names
_NAME = re.compile(
    r"(?:(?P<set>[^/]+?)[-_.])?(?P<split>train|test|t10k)-(?P<what>images|labels)"
    r"[-.]idx(?P<dimensions>[123])-(?:ubyte|int)(?P<packed>\.gz)?",
    re.IGNORECASE,
)
_MAPPING = re.compile(r"(?:(?P<set>[^/]+?)[-_.])?mapping\.txt", re.IGNORECASE)
_EXAMPLE = {
    ("train", "images"): "train-images-idx3-ubyte",
    ("train", "labels"): "train-labels-idx1-ubyte",
    ("test", "images"): "t10k-images-idx3-ubyte",
    ("test", "labels"): "t10k-labels-idx1-ubyte",
}


@dataclass
class Set:
    """The files of one data set.

    Attributes:
        name: what stands before the files' names.
        files: (train or test, images or labels) to the file.
        mapping: EMNIST's table of labels and characters, where it is there.
    """

    name: str
    files: dict[tuple[str, str], Path] = field(default_factory=dict)
    mapping: Path | None = None


def find(data: Data) -> Set:
    """The set of `data.folder` that `data.dataset` names; the only one where that is null.

    Raises:
        InputError: if there is no such folder, no such set, more than one to choose from, or
            if a file of it is missing.
    """
    folder = Path(os.path.expanduser(str(data.folder)))  # noqa: PTH111 (it never raises)
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise InputError(
            f"data.folder: no folder that can be read ({error.strerror}). Received: "
            f"{shown(data.folder)}"
        ) from None
    sets = _sets(paths)
    if not sets:
        raise InputError(
            f"data.folder: {data.folder!r} holds no files in MNIST's format; it needs "
            f"{', '.join(_EXAMPLE.values())}, each with .gz or without, or such with a name before "
            f"them{_below(paths)}"
        )
    chosen = _chosen(sets, data.dataset)
    absent = [name for part, name in _EXAMPLE.items() if part not in chosen.files]
    if absent:
        there = ", ".join(path.name for path in chosen.files.values())
        raise InputError(
            f"data.folder: {chosen.name} has {there} and lacks the like of {', '.join(absent)}"
        )
    return chosen


def _sets(paths: list[Path]) -> dict[str, Set]:
    sets: dict[str, Set] = {}
    for path in paths:
        found = _NAME.fullmatch(path.name)
        if found is None or not path.is_file():
            continue
        name = (found["set"] or UNNAMED).lower()
        files = sets.setdefault(name, Set(name)).files
        split = "train" if found["split"].lower() == "train" else "test"
        part = (split, found["what"].lower())
        other = files.get(part)
        if other is None or _twin(other, path):  # the unpacked one is read, and sorts first
            files.setdefault(part, path)
            continue
        raise InputError(
            f"data.folder: {other.name} and {path.name} are both {part[1]} of {name}'s {split} "
            "split; keep one"
        )
    for path in paths:
        found = _MAPPING.fullmatch(path.name)
        name = (found["set"] or UNNAMED).lower() if found else ""
        if name in sets:
            sets[name].mapping = path
    return sets


def _twin(unpacked: Path, packed: Path) -> bool:
    return f"{unpacked.name}.gz".lower() == packed.name.lower()


def _chosen(sets: dict[str, Set], named: str | None) -> Set:
    listed = ", ".join(sets)
    if named is None:
        if len(sets) > 1:
            raise InputError(
                f"data.folder: holds {len(sets)} data sets; set data.dataset to one of {listed}"
            )
        return next(iter(sets.values()))
    if named.lower() not in sets:
        close = difflib.get_close_matches(named.lower(), sets, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise InputError(
            f"data.dataset: not in data.folder, which holds {listed}{hint}. Received: "
            f"{shown(named)}"
        )
    return sets[named.lower()]


def _below(paths: list[Path]) -> str:
    """A folder further down that has them, as unpacked archives do."""
    for path in paths:
        try:
            if path.is_dir() and any(_NAME.fullmatch(each.name) for each in path.iterdir()):
                return f"; {shown(path.name)} inside it has some"
        except OSError:
            continue
    return ""
