"""Files in MNIST's format: MNIST, Fashion-MNIST, KMNIST, QMNIST, EMNIST, or anyone's.

`found` says which files, `stream` reads one. Its own splits, train and test, are kept.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from quickspine.errors import InputError
from quickspine.params import Data
from quickspine.params.errors import shown
from quickspine.sources import Collection
from quickspine.sources.chosen import check_enough, choose
from quickspine.sources.idx.found import Set, find
from quickspine.sources.idx.labels import Labels, counted, named
from quickspine.sources.idx.stream import Idx
from quickspine.sources.storage.writing import Rows, entry, many_files
from quickspine.space import need_space

SYNTHETIC = False
LICENCE = "not stated (the user's own files)"
ATTRIBUTION = "not stated (the user's own files)"

MAX_SIDE = 2048  # pixels
SPLITS = ("train", "test")


def fetch(data: Data, folder: Path) -> Collection:
    """Write the first `data.drawings_per_category` images of each category and split.

    Memory does not grow with their number. EMNIST's images, which its files hold with rows and
    columns exchanged, are turned upright: those of sets whose name begins with "emnist".

    Returns:
        One `Fetched` a category, in the order of `data.categories`, or of the labels; the file
        holds uint8 [rows, height * width] in C order.

    Raises:
        InputError: names the file and what is wrong with it, or what of the params it has not.
        NoSpaceError: if the disk is too full.
    """
    found = find(data)
    upright = found.name.startswith("emnist")
    shape = _shape(found, upright)
    if data.image_size is not None and shape != (data.image_size, data.image_size):
        raise InputError(
            f"data.image_size: the images of {found.name} are {shape[1]}×{shape[0]} pixels and "  # noqa: RUF001 (times, not x)
            f"are kept so; make it null. Received: {data.image_size}"
        )
    files = {split: found.files[split, "labels"] for split in SPLITS}
    counts = {split: counted(path) for split, path in files.items()}
    for split in SPLITS:
        _check_count(found, split, int(counts[split].sum()))
    label_of = named(found.mapping, counts, files)
    categories = choose(data, list(label_of), found.name)
    there = {
        name: {split: int(counts[split][label_of[name]]) for split in SPLITS} for name in categories
    }
    check_enough(data, there, found.name)
    taken = {
        name: {split: min(count, data.limit) for split, count in of.items()}
        for name, of in there.items()
    }
    total = sum(sum(of.values()) for of in taken.values())
    remedy = "lower data.drawings_per_category, or ask for fewer data.categories"
    need_space(folder.parent, total * shape[0] * shape[1], remedy)
    if upright:
        print(f"fetch: {found.name}: rows and columns exchanged, upright", file=sys.stderr)
    many_files(len(categories))
    with ExitStack() as stack:
        written = {
            label_of[name]: stack.enter_context(
                Rows(folder / f"{number:05d}.npy", shape[0] * shape[1])
            )
            for number, name in enumerate(categories)
        }
        bar = stack.enter_context(
            tqdm(total=total, desc="fetch", unit=" images", mininterval=0.5, disable=None)
        )
        for split in SPLITS:
            wanted = {label_of[name]: of[split] for name, of in taken.items()}
            _copy(found, split, upright, written, wanted, bar)
    url = found.files["train", "images"].name
    entries = [
        entry(name, written[label_of[name]], f"{url}#{label_of[name]}", taken[name])
        for name in categories
    ]
    turned = ", turned upright" if upright else ""
    attribution = f"not stated (the user's own files of the set {shown(found.name)}{turned})"
    return Collection(entries, (*shape, 1), "raw", LICENCE, attribution)


def _shape(found: Set, upright: bool) -> tuple[int, int]:
    """Height and width of the images, the same in both splits."""
    shapes = {}
    for split in SPLITS:
        with Idx(found.files[split, "images"]) as file:
            if file.dtype != np.uint8 or len(file.shape) != 2 or max(file.shape) > MAX_SIDE:
                raise file.wrong(
                    f"holds {file.dtype.name} {[file.rows, *file.shape]}; images are uint8 "
                    f"[n, height, width], at most {MAX_SIDE} pixels a side"
                )
            shapes[split] = file.shape
    if shapes["train"] != shapes["test"]:
        raise InputError(
            f"data.folder: {found.name} has images of {list(shapes['train'])} pixels in train and "
            f"of {list(shapes['test'])} in test; fetch its files anew"
        )
    height, width = shapes["train"]
    return (width, height) if upright else (height, width)


def _check_count(found: Set, split: str, labels: int) -> None:
    with Idx(found.files[split, "images"]) as file:
        if file.rows != labels:
            other = found.files[split, "labels"].name
            raise file.wrong(f"holds {file.rows:,} images, {other} {labels:,} labels")


def _copy(
    found: Set,
    split: str,
    upright: bool,
    written: dict[int, Rows],
    left: dict[int, int],
    bar: tqdm[Any],
) -> None:
    """Append the first `left[label]` images of each label; the files are read to their ends."""
    with Idx(found.files[split, "images"]) as file, Labels(found.files[split, "labels"]) as beside:
        while len(images := file.read()):
            of = beside.read(len(images))
            if upright:
                images = images.transpose(0, 2, 1)
            for label, rows in written.items():
                some = images[np.flatnonzero(of == label)[: left[label]]]
                rows.append(some.reshape(len(some), rows.pixels))
                left[label] -= len(some)
                bar.update(len(some))
