"""A folder of the user's: one folder of JPEG or PNG files a class, or such a folder a split.

CINIC-10 and Bird225 (train, valid, test), Fruits-360 (Training, Test), or anyone's photographs.
"""

from __future__ import annotations

import math
import stat
import sys
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from quickspine.errors import InputError
from quickspine.parallel import by_threads
from quickspine.params import Data
from quickspine.params.errors import MAX_SHOWN, shown
from quickspine.sources import Collection
from quickspine.sources.folder.tree import MAX_NAME, SPLIT_NAMES, Tree, check_classes, read_tree
from quickspine.sources.image_file import (
    MAX_BYTES,
    TOGETHER,
    ImageError,
    check,
    decode,
    print_corrupt,
    reencode_corrupt,
)
from quickspine.sources.selection import check_counts, max_images, select_categories, shorten
from quickspine.sources.storage.writing import Pictures, Rows, entry
from quickspine.space import need_space

SYNTHETIC = False
LICENCE = "not stated (the user's own folder)"
ATTRIBUTION = "not stated (the user's own folder)"

MAX_SIDE = 2048  # pixels, of images kept raw; as data.image_size
_KINDS = {1: "grey", 3: "colour"}
_ZIP_ENTRY = 128  # bytes of an archive that a file takes besides its own, about

Image = tuple[str, Any]  # path, and pixels or content


def fetch(data: Data, folder: Path) -> Collection:
    """Write the images of each class of `data.folder` into `folder`.

    Raw where `data.image_size` is null, then of one size and one kind; else the files, each decoded
    once. Of each class, and split, the first ones by name. Memory grows with their names only.

    Returns:
        One `Fetched` a class, in the order of `data.categories`, or of their names.

    Raises:
        InputError: names what of the folder will not do: no classes, one, an empty one,
            different ones in different splits, unknown `data.categories`, too few images, images
            that cannot be read (up to 20 at once), images of different sizes.
        NoSpaceError: if the disk is too full.
    """
    tree = read_tree(str(data.folder))
    source, splits = _name(tree.root), list(tree.splits)
    check_classes(tree, data.categories)
    categories = select_categories(data, list(tree.classes[splits[0]]), source)
    images = {
        name: {split: tree.list_images(split, name) for split in splits} for name in categories
    }
    _print_notes(tree)
    counts = {name: {split: len(of[split]) for split in splits} for name, of in images.items()}
    check_counts(data, counts, source)
    taken = {
        name: {split: paths[: max_images(data, split)] for split, paths in of.items()}
        for name, of in images.items()
    }
    paths = [path for of in taken.values() for some in of.values() for path in some]
    raw, damaged, entries = data.image_size is None, list[str](), []
    bar = tqdm(total=len(paths), desc="fetch", unit=" images", mininterval=0.5, disable=None)
    with warnings.catch_warnings(), bar:
        # Pillow's, of odd EXIF and such: what is wrong with a file is printed once, by its name.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        with closing(_read(tree.root, paths, decode if raw else check, bar)) as reader:
            if data.image_size is None:
                first = next(reader)  # raises where an image cannot be used
                shape = _check_side(*first)
                need, stored = math.prod(shape) * len(paths), _rows(first, reader)
            else:
                shape = (data.image_size, data.image_size, 3)
                need = sum(_size(tree.root / path) + _ZIP_ENTRY for path in paths)
                stored = _files(reader, damaged)
            remedy = "lower data.drawings_per_category, or ask for fewer data.categories"
            need_space(folder.parent, need, remedy)
            for number, (name, of) in enumerate(taken.items()):
                rows = {split: len(some) for split, some in of.items()}
                place = folder / f"{number:05d}.{'npy' if raw else 'zip'}"
                with Rows(place, math.prod(shape)) if raw else Pictures(place) as file:
                    for image in islice(stored, sum(rows.values())):
                        file.append(image)
                own = None if "" in rows else rows
                entries.append(entry(name, file, tree.path(splits[0], name), own))
    print_corrupt(damaged)
    attribution = f"not stated (the user's own folder {source})"
    return Collection(entries, shape, "raw" if raw else "pictures", LICENCE, attribution)


def _read(
    root: Path, paths: list[str], read: Callable[[bytes], Any], bar: tqdm[Any]
) -> Generator[Image]:
    """Yield each image, by all cores; after a broken one only look for more such, then raise."""

    def load(path: str, _: object) -> Any:
        try:
            return read(_content(root / path))
        except ImageError as error:
            return error

    broken: list[str] = []
    with closing(by_threads(load, paths)) as images:
        for path, image in zip(paths, images, strict=True):
            bar.update()
            if isinstance(image, ImageError):
                broken.append(f"{path!r}: {image}")
                if len(broken) == MAX_SHOWN:
                    broken.append("there may be more")
                    break
            elif not broken:
                yield path, image
    if broken:
        first = "data.folder: images that cannot be used; mend them, or take them out"
        raise InputError("\n  ".join([first, *broken]))


def _rows(first: Image, others: Iterator[Image]) -> Iterator[Any]:
    """Yield images as rows of pixels, all of the shape of the first one."""
    for path, pixels in chain([first], others):
        if pixels.shape != first[1].shape:
            raise InputError(
                f"data.folder: {first[0]!r} is {_describe(first[1].shape)}, {path!r} is "
                f"{_describe(pixels.shape)}; set data.image_size to the pixels a side that "
                "all are to have"
            )
        yield pixels.reshape(1, -1)


def _files(images: Iterator[Image], damaged: list[str]) -> Iterator[Any]:
    """Yield files; those that libjpeg warns of as PNG, and append their names to `damaged`."""
    while block := list(islice(images, TOGETHER)):
        contents, found = reencode_corrupt([content for _, content in block])
        damaged += [f"{block[index][0]!r}: {text}" for index, text in found.items()]
        yield from contents


def _check_side(path: str, pixels: NDArray[np.uint8]) -> tuple[int, int, int]:
    """Return height, width and channels of an image to be kept raw."""
    height, width, channels = pixels.shape
    if max(height, width) > MAX_SIDE:
        raise InputError(
            f"data.folder: {path!r} is {_describe(pixels.shape)}, too large "
            f"to be kept raw (at most {MAX_SIDE} a side); set data.image_size"
        )
    return height, width, channels


def _describe(shape: tuple[int, ...]) -> str:
    height, width, channels = shape
    return f"{width}×{height}, {_KINDS[channels]}"  # noqa: RUF001 (times, not x)


def _content(path: Path) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a named pipe would be waited for
            raise ImageError("not a plain file")
        if status.st_size > MAX_BYTES:
            raise ImageError(f"{status.st_size:,} bytes, more than {MAX_BYTES:,}")
        return path.read_bytes()
    except OSError as error:
        raise ImageError(f"cannot be read ({error.strerror})") from None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # named when it is read
        return 0


def _name(root: Path) -> str:
    """Return the folder's own name, without the way to it on this machine."""
    name = root.resolve().name
    return name if name.isprintable() and 0 < len(name) <= MAX_NAME else "of images"


def _print_notes(tree: Tree) -> None:
    """Print what is not as everyone would take it for granted."""
    held_out = tree.splits.get("test", "")
    if SPLIT_NAMES.get(held_out.lower()) == "validation":
        print(
            f"fetch: {shown(held_out)} is the only part held out: the test split", file=sys.stderr
        )
    if tree.nested:
        names = ", ".join(shorten(list(map(repr, tree.nested))))
        print(f"fetch: images are taken from folders inside {names}", file=sys.stderr)
    if tree.left_out:
        parts = [
            f"{len(paths):,} {why} (such as {', '.join(map(repr, [*paths][:3]))})"
            for why, paths in tree.left_out.items()
        ]
        total = sum(map(len, tree.left_out.values()))
        print(f"fetch: {total:,} left out: {'; '.join(parts)}", file=sys.stderr)
