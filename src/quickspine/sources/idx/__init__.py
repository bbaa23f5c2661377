"""Files in MNIST's format: MNIST, Fashion-MNIST, KMNIST, QMNIST, EMNIST, or anyone's.

Its own splits, train and test, are kept.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from quickspine.errors import InputError
from quickspine.params import Data
from quickspine.params.errors import shown
from quickspine.sources import Collection
from quickspine.sources.category_writer import CategoryWriter
from quickspine.sources.idx.files import FileSet, find_files, name_labels
from quickspine.sources.idx.reader import IdxFile, read_labels
from quickspine.sources.selection import check_counts, max_images, select_categories
from quickspine.space import need_space

SYNTHETIC = False
LICENCE = "not stated (the user's own files)"
ATTRIBUTION = "not stated (the user's own files)"

MAX_SIDE = 2048  # pixels
SPLITS = ("train", "test")


def fetch(data: Data, folder: Path) -> Collection:
    """Write the first images of each category and split.

    Memory does not grow with their number, but for the labels. EMNIST's images, which its files
    hold with rows and columns exchanged, are turned upright: those of data sets whose name begins
    with "emnist".

    Returns:
        One `Fetched` a category, in the order of `data.categories`, or of the labels; the file
        holds uint8 [rows, height * width] in C order.

    Raises:
        InputError: names the file and what is wrong with it, or what of the params it has not.
        NoSpaceError: if the disk is too full.
    """
    found = find_files(data)
    transposed = found.name.startswith("emnist")
    labels = {split: read_labels(found.files[split, "labels"]) for split in SPLITS}
    shape = _check_images(found, labels)
    height, width = reversed(shape) if transposed else shape
    if data.image_size is not None and shape != (data.image_size, data.image_size):
        raise InputError(
            f"data.image_size: the images of {found.name} are {width}×{height} pixels and "  # noqa: RUF001 (times, not x)
            f"are kept so; make it null. Received: {data.image_size}"
        )
    label_of = name_labels(data, found, labels)
    categories = select_categories(data, list(label_of), found.name)
    counts = {
        name: {split: int((labels[split] == label_of[name]).sum()) for split in SPLITS}
        for name in categories
    }
    check_counts(data, counts, found.name)
    total = sum(
        min(n, max_images(data, split)) for of in counts.values() for split, n in of.items()
    )
    remedy = "lower data.drawings_per_category, or ask for fewer data.categories"
    need_space(folder.parent, total * height * width, remedy)
    if transposed:
        print(f"fetch: {found.name}: rows and columns exchanged, upright", file=sys.stderr)
    wanted = {name: label_of[name] for name in categories}
    writer = CategoryWriter(data, folder, wanted, found.name)
    images = sum(len(some) for some in labels.values())
    with tqdm(total=images, desc="fetch", unit=" images", mininterval=0.5, disable=None) as bar:
        for split in SPLITS:
            with IdxFile(found.files[split, "images"]) as file:
                start = 0
                for block in file.blocks():  # to its end, where gzip's checksum is
                    block = block.swapaxes(1, 2) if transposed else block
                    writer.add(split, labels[split][start : start + len(block)], block)
                    start += len(block)
                    bar.update(len(block))
    file_name = found.files["train", "images"].name
    entries = writer.close(lambda name: f"{file_name}#{label_of[name]}")
    turned = ", turned upright" if transposed else ""
    title = data.title or f"the set {shown(found.name)}"
    attribution = f"not stated (the user's own files of {title}{turned})"
    return Collection(entries, (height, width, 1), "raw", LICENCE, attribution)


def _check_images(found: FileSet, labels: dict[str, NDArray[np.int64]]) -> tuple[int, int]:
    """Return height and width of the images, the same in both splits."""
    shapes = {}
    for split in SPLITS:
        with IdxFile(found.files[split, "images"]) as file:
            rows, *shape = file.shape
            if file.dtype != np.uint8 or len(shape) != 2 or max(shape) > MAX_SIDE:
                raise file.error(
                    f"holds {file.dtype.name} {list(file.shape)}",
                    f"images are uint8 [n, height, width], at most {MAX_SIDE} pixels a side",
                )
            if rows != len(labels[split]):
                other = found.files[split, "labels"].name
                raise file.error(f"holds {rows:,} images, {other} {len(labels[split]):,} labels")
            shapes[split] = shape
    if shapes["train"] != shapes["test"]:
        raise InputError(
            f"data.folder: {found.name} has images of {shapes['train']} pixels in train and "
            f"of {shapes['test']} in test; fetch its files anew"
        )
    height, width = shapes["train"]
    return height, width
