"""Labels of a set in MNIST's format, counted, and the names of the categories they stand for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from quickspine.errors import InputError
from quickspine.params.errors import shown
from quickspine.sources.idx.stream import CHUNK, Idx

LABELS = 1000  # the most categories: a label from there on is damage
_QMNIST = 8  # columns: class, NIST's series, writer, …


class Labels(Idx):
    """A file of labels: uint8 [n], or int32 [n, 8] as QMNIST's, where the first is the label.

    Raises:
        InputError: if it is damaged or anything else, or, once it is read, a label is out of
            range.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._plain = self.dtype == np.uint8 and self.shape == ()
        if not self._plain and not (self.dtype == ">i4" and self.shape == (_QMNIST,)):
            self.close()
            raise self.wrong(
                f"holds {self.dtype.name} {[self.rows, *self.shape]}; labels are uint8 [n], or "
                f"int32 [n, {_QMNIST}] as QMNIST's"
            )

    def read(self, most: int = CHUNK) -> NDArray[np.int64]:
        """The next labels, int64 [up to `most`]; none after the last."""
        rows = super().read(most)
        found = (rows if self._plain else rows[:, 0]).astype(np.int64)
        if wrong := found[(found < 0) | (found >= LABELS)][:1].tolist():
            raise self.wrong(f"damaged: label {wrong[0]} is out of range (0 to {LABELS - 1})")
        return found


def counted(path: Path) -> NDArray[np.int64]:
    """How many images have each label, int64 [LABELS]."""
    counts = np.zeros(LABELS, np.int64)
    with Labels(path) as file:
        while len(some := file.read()):
            counts += np.bincount(some, minlength=LABELS)
    return counts


def named(
    mapping: Path | None, counts: dict[str, NDArray[np.int64]], files: dict[str, Path]
) -> dict[str, int]:
    """Category to label, in the order of the labels.

    Args:
        mapping: EMNIST's table; None: the labels' own numbers are the names.
        counts: split to how many images have each label.
        files: split to the file of its labels, for messages.

    Raises:
        InputError: if a label is none of the table's; without a table, if labels between the
            first and the last of train are missing, or test has others.
    """
    if mapping is not None:
        table = _mapping(mapping)
        known, source = sorted(table), f"{mapping.name} has"
    else:
        known = np.flatnonzero(counts["train"]).tolist()
        table = {label: str(label) for label in known}
        source = "train has"
        gaps = sorted({*range(known[0], known[-1] + 1)} - {*known}) if known else []
        if gaps:
            raise _out_of_range(files["train"], known[-1], f"no image has label {gaps[0]}")
    for split, of in counts.items():
        if strange := sorted({*np.flatnonzero(of).tolist()} - {*known}):
            told = f"{source} {known[0]} to {known[-1]}" if known else f"{source} none"
            raise _out_of_range(files[split], strange[0], told)
    return {table[label]: label for label in known}


def _out_of_range(path: Path, label: int, why: str) -> InputError:
    return InputError(f"{path}: label {label} is out of range: {why}; fetch the file anew")


def _mapping(path: Path) -> dict[int, str]:
    """Label to name: the characters whose codes follow it ("10 65": "A", "1 65 97": "Aa")."""
    names: dict[int, str] = {}
    try:
        for line in path.read_text(encoding="ascii").splitlines():
            if not line.strip():
                continue
            label, *codes = map(int, line.split())
            name = "".join(map(chr, codes))
            if not 0 <= label < LABELS or label in names or not name.isprintable() or not name:
                raise ValueError(f"line {shown(line)}")
            names[label] = name
    except (OSError, ValueError, OverflowError) as error:
        raise InputError(
            f"{path}: not EMNIST's table of labels and characters "
            f"({str(error)[:100]}); fetch it anew, or take it away"
        ) from None
    if len({*names.values()}) < len(names):
        raise InputError(f"{path}: two labels are named alike; fetch it anew, or take it away")
    return names
