"""Find the files of a data set in MNIST's format, and the names of its categories.

`train-images-idx3-ubyte`, `t10k-labels-idx1-ubyte`: MNIST's names, Fashion-MNIST's and KMNIST's.
`emnist-letters-train-images-idx3-ubyte.gz`, `qmnist-test-labels-idx2-int.gz`: with the name of the
data set before them. Capitals, a dot before `idx` and `.gz` make no difference.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from quickspine.errors import InputError
from quickspine.params import Data
from quickspine.params.errors import shown
from quickspine.params.paths import resolve_path
from quickspine.sources.idx.reader import MAX_LABEL

UNNAMED = "mnist"  # the data set whose files have nothing before their names
PARTS = {
    ("train", "images"): "train-images-idx3-ubyte",
    ("train", "labels"): "train-labels-idx1-ubyte",
    ("test", "images"): "t10k-images-idx3-ubyte",
    ("test", "labels"): "t10k-labels-idx1-ubyte",
}
_PREFIX = r"(?:(?P<set>[^/]+?)[-_.])?"
_NAME = re.compile(
    rf"{_PREFIX}(?P<split>train|test|t10k)-(?P<what>images|labels)[-.]idx[123]-(?:ubyte|int)"
    r"(?:\.gz)?",
    re.IGNORECASE,
)
_NAMES = re.compile(rf"{_PREFIX}(?P<what>mapping|labels)\.txt", re.IGNORECASE)
# 0 cat, 0: cat, 0. cat
_NUMBERED = re.compile(r"([0-9]{1,9})(?:\s*[:;,=)]\s*|\.?\s+(?:-\s+)?)(\S.*)")


@dataclass
class FileSet:
    """The files of one data set.

    Attributes:
        name: what stands before the files' names.
        files: (train or test, images or labels) to the file.
        names: "mapping" (EMNIST's table of labels and characters) or "labels" (a name a line)
            to the file.
    """

    name: str
    files: dict[tuple[str, str], Path] = field(default_factory=dict)
    names: dict[str, Path] = field(default_factory=dict)


def find_files(data: Data) -> FileSet:
    """Find the data set of `data.folder` that `data.dataset` names; the only one where it is null.

    Raises:
        InputError: if there is no such folder, no such data set, more than one to choose from, or
            if a file of it is missing.
    """
    folder = resolve_path(str(data.folder))
    try:
        paths = list(_inside(folder))
    except OSError as error:
        raise InputError(
            f"data.folder: no folder that can be read ({error.strerror}). Received: "
            f"{shown(data.folder)}"
        ) from None
    sets = _sort(paths)
    if not sets:
        below = [path.name for path in paths if path.is_dir() and _holds_some(path)]
        hint = f"; {shown(below[0])} inside it has some: name that folder" if below else ""
        raise InputError(
            f"data.folder: {data.folder!r} holds no files in MNIST's format; it needs "
            f"{', '.join(PARTS.values())} (test for t10k is fine, and .gz), or such with a name "
            f"before them{hint}"
        )
    named = (data.dataset or "").lower()
    if not named and len(sets) > 1:
        raise InputError(
            f"data.folder: holds {len(sets)} data sets; set data.dataset to one of "
            f"{', '.join(sets)}"
        )
    if named and named not in sets:
        close = difflib.get_close_matches(named, sets, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise InputError(
            f"data.dataset: not in data.folder, which holds {', '.join(sets)}{hint}. Received: "
            f"{shown(data.dataset)}"
        )
    chosen = sets[named or next(iter(sets))]
    absent = [name for part, name in PARTS.items() if part not in chosen.files]
    if absent:
        there = ", ".join(path.name for path in chosen.files.values())
        raise InputError(
            f"data.folder: {chosen.name} has {there} and lacks the like of {', '.join(absent)}"
        )
    return chosen


def _inside(folder: Path) -> Iterator[Path]:
    """Yield what is in a folder; in place of a folder that is named as a file: what is in it."""
    for path in sorted(folder.iterdir()):
        if _NAME.fullmatch(path.name) and path.is_dir():  # as Kaggle's archives unpack
            yield from sorted(path.iterdir())
        else:
            yield path


def _holds_some(folder: Path) -> bool:
    try:
        return any(_NAME.fullmatch(path.name) for path in folder.iterdir())
    except OSError:
        return False


def _sort(paths: list[Path]) -> dict[str, FileSet]:
    sets: dict[str, FileSet] = {}
    for path in paths:
        match = _NAME.fullmatch(path.name)
        if match is None or not path.is_file():
            continue
        name = (match["set"] or UNNAMED).lower()
        files = sets.setdefault(name, FileSet(name)).files
        split = "train" if match["split"].lower() == "train" else "test"
        part = (split, match["what"].lower())
        other = files.setdefault(part, path)
        # Of a file and the same one packed, the unpacked one is read, which sorts first.
        if other is not path and f"{other.name}.gz".lower() != path.name.lower():
            raise InputError(
                f"data.folder: {other.name} and {path.name} are both {part[1]} of {name}'s "
                f"{split} split; keep one"
            )
    for path in paths:
        match = _NAMES.fullmatch(path.name)
        # A folder named labels.txt is refused when the names are read.
        if match is not None and (path.is_file() or match["what"].lower() == "labels"):
            name = (match["set"] or "").lower()
            for each in [sets[name]] if name in sets else [] if name else sets.values():
                each.names.setdefault(match["what"].lower(), path)
    return sets


def name_labels(data: Data, found: FileSet, labels: dict[str, NDArray[np.int64]]) -> dict[str, int]:
    """Return category to label, in the order of the labels.

    The names are `data.category_names`, or those of `labels.txt` or of EMNIST's mapping beside the
    files, or the labels' own numbers.

    Args:
        data: the params.
        found: the files.
        labels: split to the labels of its images.

    Raises:
        InputError: if a label has no name; without names: if labels between the first and the last
            of train are missing, or test has others.
    """
    present = {split: np.unique(some).tolist() for split, some in labels.items()}
    train = present["train"]
    if data.category_names is not None:
        names, source = list(data.category_names), "data.category_names"
    elif "labels" in found.names:
        names, source = _read_lines(found.names["labels"]), str(found.names["labels"])
    else:
        names, source = [], ""
    if names:
        # A list for labels that begin at 1, as EMNIST's letters, may leave out label 0.
        first = train[0] if len(names) == train[-1] + 1 - train[0] else 0
        table = dict(enumerate(names, first))
        seen = sorted({*train, *present["test"]})
        # With data.categories some names may have no images; but a comment moves those after it.
        before, after = min(table) < seen[0], max(table) > seen[-1]
        comment = after and any(name.startswith("#") for name in names)
        if comment or ((before or after) and not data.categories) or not {*train} <= table.keys():
            raise InputError(
                f"{source}: {len(names)} names ({shown(names[0])} to {shown(names[-1])}), but "
                f"{found.name} has {len(seen)} labels, {seen[0]} to {seen[-1]}; give each one name"
            )
        source = f"{Path(source).name} names"
    elif "mapping" in found.names:
        table, source = _read_mapping(found.names["mapping"]), f"{found.names['mapping'].name} has"
    else:
        table, source = {label: str(label) for label in train}, "train has"
        gaps = sorted({*range(train[0], train[-1])} - {*train})
        if gaps:
            path = found.files["train", "labels"]
            raise _out_of_range(path, train[-1], f"no image has label {gaps[0]}")
    for split, some in present.items():
        if strange := [label for label in some if label not in table]:
            has = f"{source} {min(table)} to {max(table)}" if table else f"{source} none"
            raise _out_of_range(found.files[split, "labels"], strange[0], has)
    return {table[label]: label for label in sorted(table)}


def _out_of_range(path: Path, label: int, why: str) -> InputError:
    return InputError(f"{path}: label {label} is out of range: {why}; fetch the file anew")


def _read_lines(path: Path) -> list[str]:
    """Read a name a line, in the order of the labels, or with its label before it."""
    try:
        names = [line.strip() for line in path.read_text("utf-8-sig").strip().splitlines()]
        numbered = [match for name in names if (match := _NUMBERED.fullmatch(name))]
        if numbered:
            table = {int(match[1]): match[2] for match in numbered}
            if sorted(table) != list(range(len(names))):
                raise ValueError(
                    f"{len(numbered)} of {len(names)} begin with a number, not each with another "
                    f"of 0 to {len(names) - 1}"
                )
            names = [table[label] for label in sorted(table)]
        if not names:
            raise ValueError("an empty file")
        _check_names(names)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); take it away") from None
    except ValueError as error:
        raise InputError(
            f"{path}: not a name of a category a line ({error!s:.100}); mend it, or use "
            "data.category_names"
        ) from None
    return names


def _read_mapping(path: Path) -> dict[int, str]:
    """Label to name: the characters whose codes follow it ("10 65": "A", "1 65 97": "Aa")."""
    names: dict[int, str] = {}
    try:
        for line in path.read_text("ascii").splitlines():
            if line.strip():
                label, *codes = map(int, line.split())
                if not 0 <= label <= MAX_LABEL or label in names:
                    raise ValueError(f"line {shown(line)}")
                names[label] = "".join(map(chr, codes))
        _check_names(list(names.values()))
    except (OSError, ValueError, OverflowError) as error:
        raise InputError(
            f"{path}: not EMNIST's table of labels and characters "
            f"({error!s:.100}); fetch it anew, or take it away"
        ) from None
    return names


def _check_names(names: list[str]) -> None:
    for name in names:
        if not name.isprintable() or not 0 < len(name) <= 200:
            raise ValueError(f"no name of a category: {shown(name)}")
    if twins := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"two are named {shown(min(twins))}")
