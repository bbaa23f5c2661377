"""Find the splits, classes and images of a folder.

Links are followed. Everything is in the order of its name, by code points of Unicode's composed
form: the same on every machine.
"""

from __future__ import annotations

import os
import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from quickspine.errors import InputError
from quickspine.params.errors import shown
from quickspine.params.paths import resolve_path
from quickspine.sources.selection import SPLITS, list_names, shorten

SUFFIXES = (".jpg", ".jpeg", ".png")  # in any case
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}  # of splits' folders, in any case
# Other names that people give to splits, such as `train_images`, `test-data`, `trainset`, `dev`.
_WHAT = r"(?:images?|imgs?|pictures?|photos?|data|sets?|datasets?|splits?|\d+)"
_LIKE_SPLIT = re.compile(
    rf"(?:{_WHAT}[-_. ]?)?(?:(?P<train>train(?:ing|s)?)|(?P<test>test(?:ing|s)?)"
    rf"|(?P<validation>val(?:id(?:ation)?)?|dev|eval(?:uation)?))(?:[-_. ]?{_WHAT})*",
    re.IGNORECASE,
)
MAX_NAME = 200  # characters of a category, as in the params
# Files and folders of systems, network storage and photo programs, in any case; and all whose
# names begin with a dot, and folders whose names begin with @ or ~ or are FOUND.000 and so on.
SYSTEM = (
    "thumbs.db", "ehthumbs.db", "desktop.ini", "picasa.ini", "icon\r", "__macosx",
    "_macosx", "$recycle.bin", "recycle bin", "recycler", "recycled", "system volume information",
    "lost+found", "network trash folder", "temporary items", "#recycle", "#snapshot", "_gsdata_",
    "thumbnails", "_thumbnails", "thumbs", "_thumbs",
)  # fmt: skip


@dataclass
class Tree:
    """A folder of images.

    Attributes:
        root: the folder.
        splits: split to its folder's name in `root`; "" alone where there are none.
        classes: split to category to the name of its folder.
        left_out: reason to paths that are not used, each once.
        nested: classes whose images are in folders inside theirs.
    """

    root: Path
    splits: dict[str, str] = field(default_factory=lambda: {"": ""})
    classes: dict[str, dict[str, str]] = field(default_factory=dict)
    left_out: dict[str, dict[str, None]] = field(default_factory=dict)
    nested: list[str] = field(default_factory=list)

    def path(self, split: str, category: str) -> str:
        """Return a class's folder, relative to `root`."""
        return str(PurePosixPath(self.splits[split], self.classes[split][category]))

    def list_images(self, split: str, category: str) -> list[str]:
        """List the images of a class, relative to `root`, in order.

        Those in folders inside the class's folder are taken only where it has none of its own.

        Raises:
            InputError: if a folder cannot be read, or is a link to one that it is in.
        """
        place = self.path(split, category)
        own, deep = self._images(place, frozenset())
        if own:
            self.leave_out("images deeper than others of their class", deep)
            return own
        if deep:
            self.nested.append(place)
        return sorted(deep, key=_order)

    def leave_out(self, why: str, paths: list[str]) -> None:
        """Remember what is not used."""
        if paths:
            self.left_out.setdefault(why, {}).update(dict.fromkeys(paths))

    def scan(self, place: str) -> tuple[list[str], list[str]]:
        """List folders and files in a folder, by name, in order, without those of the system."""
        at, is_folder = place, dict[str, bool]()
        try:
            with os.scandir(Path(self.root, place)) as entries:
                for entry in entries:
                    at = _join(place, entry.name)
                    is_folder[entry.name] = entry.is_dir()  # raises for a link to itself
        except OSError as error:
            raise InputError(
                f"data.folder: {(at or str(self.root))!r} cannot be read ({error.strerror})"
            ) from None
        names = sorted(is_folder, key=_order)
        system = [name for name in names if _is_of_system(name, is_folder[name])]
        self.leave_out("hidden or of the system", [_join(place, name) for name in system])
        names = [name for name in names if name not in system]
        return [n for n in names if is_folder[n]], [n for n in names if not is_folder[n]]

    def _images(self, place: str, above: frozenset[tuple[int, int]]) -> tuple[list[str], list[str]]:
        """Images in a folder, and in folders inside it."""
        status = Path(self.root, place).stat()
        here = (status.st_dev, status.st_ino)
        if here in above:
            raise InputError(
                f"data.folder: {self._link(place)!r} is a link to a folder that it is in; "
                "remove the link"
            )
        folders, files = self.scan(place)
        images = [_join(place, name) for name in files if _is_image(name)]
        others = [_join(place, name) for name in files if not _is_image(name)]
        self.leave_out("neither JPEG nor PNG by name", others)
        deep = []
        for folder in folders:
            for paths in self._images(_join(place, folder), above | {here}):
                deep += paths
        return images, deep

    def _link(self, place: str) -> str:
        """The last link on the way to a place, where it lies; relative to `root` if inside it."""
        path, root = Path(self.root, place), self.root.resolve()
        while not path.is_symlink() and path != self.root:
            path = path.parent
        link = path.parent.resolve() / path.name
        return str(link.relative_to(root) if link.is_relative_to(root) else link)


def read_tree(named: str) -> Tree:
    """Find the splits and the classes of the folder `named` in the params, not yet its images.

    Raises:
        InputError: if it is no folder, has no class folders, has splits without a train one
            or without one held out, a split without labels, or names no category can have.
    """
    root = resolve_path(named)
    if not root.is_dir():
        raise InputError(
            f"data.folder: {'not a' if root.exists() else 'no such'} folder. Received: "
            f"{shown(named)}"
        )
    tree = Tree(root)
    folders, files = tree.scan("")
    tree.leave_out("beside the classes", files)
    splits = _find_splits(tree, folders)
    _check_split_names(tree, folders, splits)
    if not splits:
        if not folders:
            raise _no_classes(named, files)
        inside, files = tree.scan(folders[0]) if len(folders) == 1 else ([], [])
        if inside and not any(map(_is_image, files)):
            raise InputError(
                f"data.folder: only the category {shown(folders[0])}; at least two are needed. If "
                f"they are inside it, name that folder: data.folder: {_join(named, folders[0])}"
            )
        tree.classes[""] = _name_classes("", folders)
        return tree
    tree.splits = splits
    tree.leave_out("beside the splits", [name for name in folders if name not in splits.values()])
    for split, folder in splits.items():
        inside, files = tree.scan(folder)
        if not inside:
            if split != "train" and any(map(_is_image, files)):
                raise _unlabelled(tree, split, f"its {len(files):,} files lie directly in it")
            raise _no_classes(f"{named}/{folder}", files)
        tree.leave_out("beside the classes", [_join(folder, name) for name in files])
        tree.classes[split] = _name_classes(folder, inside)
    return tree


def check_classes(tree: Tree, categories: tuple[str, ...]) -> None:
    """Refuse splits that lack a class that another one has.

    Args:
        tree: the folder.
        categories: those asked for; none: all.

    Raises:
        InputError: names each class, where it is, and where it is not.
    """
    for split, names in tree.classes.items():
        if split not in ("", "train"):
            _check_spelling(tree, split, categories)
        if split not in ("", "train") and not names.keys() & tree.classes["train"].keys():
            raise _unlabelled(tree, split, f"it holds {list_names(list(names))}, no class of train")
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
        raise InputError("\n  ".join([first, *shorten(wrong)]))


def _check_spelling(tree: Tree, split: str, categories: tuple[str, ...]) -> None:
    """Refuse names of a split that are train's but for capitals, outer spaces or Unicode form."""

    def plain(name: str) -> str:
        return unicodedata.normalize("NFKC", name).strip().casefold()

    names, train = tree.classes[split].keys(), tree.classes["train"].keys()
    meant = {plain(name): name for name in train if name not in names}
    pairs = {name: meant[plain(name)] for name in names - train if plain(name) in meant}
    pairs = dict(sorted(pairs.items(), key=lambda pair: _order(pair[0])))
    if pairs and (not categories or {*categories} & {*pairs, *pairs.values()}):
        raise InputError(
            f"data.folder: {list_names(list(pairs))} of {tree.splits[split]} differ from "
            f"{tree.splits['train']}'s {list_names(list(pairs.values()))} only in capitals, spaces "
            "or Unicode form; rename them"
        )


def _find_splits(tree: Tree, folders: list[str]) -> dict[str, str]:
    """Return split to folder, in the order of `SPLITS`; empty where the folders are classes."""
    found: dict[str, str] = {}
    for name in folders:
        split = SPLIT_NAMES.get(name.lower())
        if split is not None and split in found:
            raise InputError(
                f"data.folder: {shown(found[split])} and {shown(name)} are both the {split} split; "
                "keep one"
            )
        if split is not None:
            found[split] = name
    listed, problem = ", ".join(map(shown, found.values())), ""
    if "train" not in found or len(found) == 1:
        lacks = "test" if "train" in found else "train"
        problem = (
            f"holds {listed} and no {lacks} folder; add it, or name a folder that holds one "
            "folder a class"
        )
    elif not tree.scan(found["train"])[0]:
        problem = (
            f"{listed} are named as splits, but {shown(found['train'])} holds no folders, one a "
            "class; sort its images into such"
        )
    if problem and found and len(found) == len(folders):
        raise InputError(f"data.folder: {problem}")
    if problem:
        return {}  # classes, such as images of trains, and of tests
    if "test" not in found:  # the only part held out is the test split
        found["test"] = found.pop("validation")
    return {split: found[split] for split in SPLITS if split in found}


def _check_split_names(tree: Tree, folders: list[str], splits: dict[str, str]) -> None:
    """Refuse folders that look like splits where they would be classes, or be left out."""
    matches = [match for name in folders if (match := _LIKE_SPLIT.fullmatch(name))]
    kinds = {match[0]: match.lastgroup for match in matches}
    used = {kinds[name] for name in splits.values()}
    train = [name for name, kind in kinds.items() if kind == "train"]
    held_out = [name for name, kind in kinds.items() if kind != "train" and kind not in used]
    if not train or not held_out:
        return
    classes = {name: {*tree.scan(name)[0]} for name in (*train, *held_out)}
    wrong = any(classes[one] & classes[other] for one in train for other in held_out)
    if not splits:  # `trains` and `tests` beside `cars` may be classes, `train_images` are not
        long = {match[0] for match in matches if match[0] != match[match.lastgroup or 0]}
        wrong |= len(kinds) == len(folders) or all(long & {*names} for names in (train, held_out))
    if wrong:
        raise InputError(
            f"data.folder: {list_names(list(kinds))} look like splits, not classes; rename them "
            "to train and test (and validation)"
        )


def _name_classes(place: str, folders: list[str]) -> dict[str, str]:
    """Return category to folder. Some systems set a name's accents apart from its letters."""
    if sorted(map(str.lower, folders)) == ["images", "labels"]:
        raise InputError(
            f"data.folder: {_join(place, folders[0])!r} and {_join(place, folders[1])!r} are a "
            "layout for detection (YOLO's), not classes; sort the images into one folder a class"
        )
    found: dict[str, str] = {}
    for folder in folders:
        name = unicodedata.normalize("NFC", folder)
        if not name.isprintable() or len(name) > MAX_NAME:
            raise InputError(
                f"data.folder: {shown(_join(place, folder))}: no name of a "
                f"category; rename it: 1 to {MAX_NAME} printable characters"
            )
        if name in found:
            raise InputError(
                f"data.folder: two folders are named {shown(name)}, by different bytes; rename one"
            )
        found[name] = folder
    return found


def _no_classes(place: str, files: list[str]) -> InputError:
    images = sum(map(_is_image, files))
    loose = f"; {images:,} images lie directly in it: sort them into such" if images else ""
    return InputError(f"data.folder: {place!r} holds no folders, one a class{loose}")


def _unlabelled(tree: Tree, split: str, why: str) -> InputError:
    folder, train = tree.splits[split], tree.splits["train"]
    instead = f"set data.folder to its {train}, which is then split by content"
    if len(tree.splits) > 2:
        instead = "another held-out split is used then"
    return InputError(
        f"data.folder: {shown(folder)} has no labels ({why}), so nothing can be measured on it; "
        f"sort it into the classes of {train}, or move it elsewhere: {instead}"
    )


def _is_of_system(name: str, is_folder: bool) -> bool:
    return bool(
        name.startswith(".")
        or name.lower() in SYSTEM
        or (is_folder and re.match(r"[@~]|found\.\d{3}$", name, re.IGNORECASE))
    )


def _is_image(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def _join(place: str, name: str) -> str:
    return str(PurePosixPath(place, name))


def _order(path: str) -> tuple[tuple[str, ...], str]:
    """Sort folder by folder; where composed forms are equal, by what the names are."""
    return tuple(unicodedata.normalize("NFC", path).split("/")), path
