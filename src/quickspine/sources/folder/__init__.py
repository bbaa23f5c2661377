"""A folder of the user's: one folder of JPEG or PNG files a class, or such a folder a split.

CINIC-10 and Bird225 (train, valid, test), Fruits-360 (Training, Test), or anyone's photographs.
`tree` says what is looked at, `pictures` what becomes of each file.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from tqdm import tqdm

from quickspine.errors import InputError
from quickspine.parallel import by_threads
from quickspine.params import Data
from quickspine.params.errors import MAX_SHOWN, shown
from quickspine.sources import Collection, Fetched
from quickspine.sources.chosen import check_enough, choose
from quickspine.sources.folder import tree
from quickspine.sources.folder.storing import AsPictures, AsPixels, Picture
from quickspine.sources.storage.writing import entry
from quickspine.space import need_space

SYNTHETIC = False
LICENCE = "not stated (the user's own folder)"
ATTRIBUTION = "not stated (the user's own folder)"


def fetch(data: Data, folder: Path) -> Collection:
    """Write the images of each class of `data.folder` into `folder`.

    Raw where `data.image_size` is null, then of one size and one kind; else the files, each decoded
    once. Of each class, and split, the first `data.drawings_per_category` by name. Memory grows
    with their names only.

    Returns:
        One `Fetched` a class, in the order of `data.categories`, or of their names.

    Raises:
        InputError: names what of the folder will not do: no classes, one, an empty one,
            different ones in different splits, unknown `data.categories`, too few images, images
            that cannot be read (up to 20 at once), images of different sizes.
        NoSpaceError: if the disk is too full.
    """
    found = tree.look(str(data.folder))
    name, splits = _name(found.root), list(found.splits)
    tree.same_in_all(found, data.categories)
    categories = choose(data, list(found.classes[splits[0]]), name)
    images = {
        category: {split: found.images(split, category) for split in splits}
        for category in categories
    }
    _tell(found)
    counts = {each: {split: len(of[split]) for split in splits} for each, of in images.items()}
    check_enough(data, counts, name)
    taken = {
        category: {split: files[: data.limit] for split, files in of.items()}
        for category, of in images.items()
    }
    paths = [path for of in taken.values() for files in of.values() for path in files]
    store = AsPixels() if data.image_size is None else AsPictures(data.image_size)
    remedy = "lower data.drawings_per_category, or ask for fewer data.categories"
    need_space(folder.parent, store.needed(found.root, paths), remedy)
    bar = tqdm(total=len(paths), desc="fetch", unit=" images", mininterval=0.5, disable=None)
    with warnings.catch_warnings(), bar:
        # Pillow's, of odd EXIF and such: what is wrong with a file is told once, by its name.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        with closing(_read(found.root, paths, store, bar)) as pictures:
            entries = [
                _write(found, category, of, store, pictures, folder / f"{label:05d}")
                for label, (category, of) in enumerate(taken.items())
            ]
    attribution = f"not stated (the user's own folder {name})"
    return Collection(entries, store.shape, store.encoding, LICENCE, attribution)


def _read(
    root: Path, paths: list[str], store: AsPixels | AsPictures, bar: tqdm[Any]
) -> Generator[Picture]:
    """Yield each picture, by all cores; after a broken one look only for more such, then raise."""
    broken: list[str] = []
    with closing(by_threads(lambda path, _: store.read(root, path), paths)) as pictures:
        for picture in pictures:
            bar.update()
            if picture.broken is not None:
                broken.append(f"{picture.path!r}: {picture.broken}")
                if len(broken) == MAX_SHOWN:
                    broken.append("there may be more")
                    break
            elif not broken:
                yield picture
    if broken:
        first = "data.folder: images that cannot be used; mend them, or take them out"
        raise InputError("\n  ".join([first, *broken]))


def _write(
    found: tree.Tree,
    category: str,
    files: dict[str, list[str]],
    store: AsPixels | AsPictures,
    pictures: Iterator[Picture],
    place: Path,
) -> Fetched:
    rows = {split: len(paths) for split, paths in files.items()}
    with store.writer(place) as written:
        for _ in range(sum(rows.values())):
            picture = next(pictures)
            store.check(picture)
            picture.append_to(written)
    own = rows if found.has_splits else None
    return entry(category, written, found.place(next(iter(rows)), category), own)


def _name(root: Path) -> str:
    """The folder's own name, without the way to it on this machine."""
    name = root.resolve().name
    return name if name.isprintable() and 0 < len(name) <= tree.MAX_NAME else "of images"


def _tell(found: tree.Tree) -> None:
    """Say on stderr what is not as everyone would take it for granted."""
    held_out = found.splits.get("test", "")
    if tree.NAMES.get(held_out.lower()) == "validation":
        print(
            f"fetch: {shown(held_out)} is the only part held out: the test split", file=sys.stderr
        )
    if found.left_out:
        some = ", ".join(map(repr, found.left_out[:3]))
        print(f"fetch: {len(found.left_out):,} left out, such as {some}", file=sys.stderr)
