"""Which folders are classes, which are splits, and which files are their images.

A folder or file whose name begins with a dot, `Thumbs.db`, `desktop.ini` and `__MACOSX` are no part
of it. Links are followed. Images in folders inside a class's folder are the class's. Everything is
in the order of its name, by code points of Unicode's composed form: the same on every machine.
"""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from quickspine.errors import InputError
from quickspine.params.errors import shown
from quickspine.sources.chosen import SPLITS, capped

SUFFIXES = (".jpg", ".jpeg", ".png")  # in any case
NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}  # of splits' folders, in any case
MAX_NAME = 200  # characters of a category, as in the params
_NO_PART = ("thumbs.db", "desktop.ini", "__macosx")
_WHOLE = ""  # the split of a folder without splits


@dataclass
class Tree:
    """A folder of images.

    Attributes:
        root: the folder.
        splits: split to its folder's name in `root`; an empty split where there are none.
        classes: split to category to the name of its folder.
        left_out: files and folders that are seen and not used, for a note.
    """

    root: Path
    splits: dict[str, str]
    classes: dict[str, dict[str, str]]
    left_out: list[str] = field(default_factory=list)

    @property
    def has_splits(self) -> bool:
        """Whether the folder says which images are held out."""
        return _WHOLE not in self.splits

    def place(self, split: str, category: str) -> str:
        """A class's folder, relative to `root`."""
        return str(PurePosixPath(self.splits[split], self.classes[split][category]))

    def images(self, split: str, category: str) -> list[str]:
        """The images of a class, relative to `root`, in order."""
        place = self.place(split, category)
        found = self._inside(place, frozenset())
        return sorted(found, key=_order)

    def _inside(self, place: str, above: frozenset[tuple[int, int]]) -> list[str]:
        status = Path(self.root, place).stat()
        here = (status.st_dev, status.st_ino)
        if here in above:
            raise InputError(
                f"data.folder: {place!r} is a link to a folder that it is in; remove the link"
            )
        found = []
        for entry in _entries(self.root, place):
            path = str(PurePosixPath(place, entry.name))
            if entry.is_dir():
                found += self._inside(path, above | {here})
            elif entry.name.lower().endswith(SUFFIXES):
                found.append(path)
            else:
                self.left_out.append(path)
        return found


def look(named: str) -> Tree:
    """Look at the folder `named` in the params: its splits and its classes, not yet its images.

    Raises:
        InputError: if it is no folder, has no class folders, has splits without a train one
            or without one held out, or names no category can have.
    """
    root = Path(os.path.expanduser(named))  # noqa: PTH111 (it never raises)
    if not root.is_dir():
        raise InputError(
            f"data.folder: {'not a' if root.exists() else 'no such'} folder. Received: "
            f"{shown(named)}"
        )
    entries = _entries(root, "")
    folders = [entry.name for entry in entries if entry.is_dir()]
    loose = [entry.name for entry in entries if not entry.is_dir()]
    splits = _splits(root, folders)
    if not splits:
        found = _named("", folders)
        if not found:
            raise _without_classes(named, loose)
        return Tree(root, {_WHOLE: ""}, {_WHOLE: found}, loose)
    tree = Tree(root, splits, {}, loose)
    tree.left_out += [name for name in folders if name not in splits.values()]
    for split, folder in splits.items():
        inside = _entries(root, folder)
        names = [entry.name for entry in inside if entry.is_dir()]
        tree.left_out += [f"{folder}/{entry.name}" for entry in inside if not entry.is_dir()]
        if not names:
            raise _without_classes(f"{named}/{folder}", [entry.name for entry in inside])
        tree.classes[split] = _named(folder, names)
    return tree


def same_in_all(tree: Tree, categories: tuple[str, ...]) -> None:
    """Say no where a split lacks a class that another one has.

    Args:
        tree: the folder.
        categories: those asked for; none: all.

    Raises:
        InputError: names each class, where it is, and where it is not.
    """
    every = sorted({name for names in tree.classes.values() for name in names}, key=_order)
    wrong = []
    for name in categories or every:
        there = [tree.splits[split] for split, names in tree.classes.items() if name in names]
        absent = [folder for folder in tree.splits.values() if folder not in there]
        if there and absent:
            wrong.append(f"{shown(name)}: in {', '.join(there)}, not in {', '.join(absent)}")
    if wrong:
        first = (
            "data.folder: its splits have different classes; give each class a folder in all of "
            "them, or leave it out of data.categories"
        )
        raise InputError("\n  ".join([first, *capped(wrong)]))


def _splits(root: Path, folders: list[str]) -> dict[str, str]:
    """Split to folder, in the order of `SPLITS`; empty where the folders are classes."""
    found: dict[str, str] = {}
    for name in folders:
        split = NAMES.get(name.lower())
        if split is not None and split in found:
            raise InputError(
                f"data.folder: {shown(found[split])} and {shown(name)} are both the {split} split; "
                "keep one"
            )
        if split is not None:
            found[split] = name
    if "train" not in found or len(found) == 1:
        if found and len(found) == len(folders):
            lacks = "test" if "train" in found else "train"
            raise InputError(
                f"data.folder: holds {', '.join(map(shown, found.values()))} and no {lacks} "
                f"folder; add it, or name a folder that holds one folder a class"
            )
        return {}
    if not any(entry.is_dir() for entry in _entries(root, found["train"])):
        return {}  # pictures of trains, and of tests
    if "test" not in found:  # one part held out: it is looked at once
        found["test"] = found.pop("validation")
    return {split: found[split] for split in SPLITS if split in found}


def _named(place: str, folders: list[str]) -> dict[str, str]:
    """Category to folder. On some systems a file's name comes with its accents set apart."""
    found: dict[str, str] = {}
    for folder in folders:
        name = unicodedata.normalize("NFC", folder)
        if not name.isprintable() or len(name) > MAX_NAME:
            raise InputError(
                f"data.folder: {shown(f'{place}/{folder}' if place else folder)}: no name of a "
                f"category; rename it: 1 to {MAX_NAME} printable characters"
            )
        if name in found:
            raise InputError(
                f"data.folder: two folders are named {shown(name)}, by different bytes; rename one"
            )
        found[name] = folder
    return found


def _without_classes(place: str, loose: list[str]) -> InputError:
    images = [name for name in loose if name.lower().endswith(SUFFIXES)]
    lie = f"; {len(images):,} images lie directly in it: sort them into such" if images else ""
    return InputError(f"data.folder: {place!r} holds no folders, one a class{lie}")


def _entries(root: Path, place: str) -> list[os.DirEntry[str]]:
    """What is in a folder, in order, without what is no part of it."""
    try:
        with os.scandir(Path(root, place)) as found:
            entries = [entry for entry in found if not _no_part(entry.name)]
    except OSError as error:
        raise InputError(
            f"data.folder: {(place or str(root))!r} cannot be read ({error.strerror})"
        ) from None
    return sorted(entries, key=lambda entry: _order(entry.name))


def _no_part(name: str) -> bool:
    return name.startswith(".") or name.lower() in _NO_PART


def _order(path: str) -> tuple[tuple[str, ...], str]:
    """Folder by folder; where composed forms are equal, by what the names are."""
    return tuple(unicodedata.normalize("NFC", path).split("/")), path
