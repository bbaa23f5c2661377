"""Presets: whole settings by name, merged into params.yaml; its comments and layout stay."""

from __future__ import annotations

import argparse
import difflib
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quickspine.errors import InputError, NoSpaceError
from quickspine.files import whole_file
from quickspine.params import load
from quickspine.params.errors import shown
from quickspine.yaml_edit import Key, exchanged, flat, places, source
from quickspine.yaml_file import read

FOLDER = Path("presets")
BASE = "default"  # what a preset does not name has the value that it has here
FEW = 6  # entries of a list that are shown


@dataclass(frozen=True)
class Preset:
    """A file of presets/: what it is called, and the params that it names."""

    path: Path
    title: str  # the first line of its header
    values: dict[Key, Any]
    texts: dict[Key, str]  # the values as they are written there


@dataclass(frozen=True)
class Change:
    """One key of params.yaml, before and after."""

    key: Key
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{'.'.join(self.key)}: {_told(self.before)} → {_told(self.after)}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Apply one and say what changed; exit: 0 done, 2 wrong name, preset or params."""
    parser = argparse.ArgumentParser(prog="python -m quickspine.presets", description=__doc__)
    parser.add_argument("name", nargs="?", help="a file of presets/, without .yaml")
    parser.add_argument("--list", action="store_true", help="the presets; so does no name")
    parser.add_argument("--params", default="params.yaml", help="default: params.yaml")
    args = parser.parse_args(arguments)
    try:
        if args.list or not args.name:
            print(_listing(FOLDER))
            return
        changes = apply(args.name, Path(args.params))
        preset = FOLDER / f"{args.name}.yaml"
        if not changes:
            print(f"{args.params}: holds the values of {preset} already; nothing changed")
            return
        print(f"{preset}: {_read(args.name, FOLDER).title}")
        for change in changes:
            print(f"  {change}")
        print(f"{args.params}: {len(changes)} changed, the rest stays as it is")
        print("next: make plan (what would run, and why), then make repro")
    except InputError as error:
        print(f"preset: {error}", file=sys.stderr)
        sys.exit(2)
    except NoSpaceError as error:
        print(f"preset: {error}", file=sys.stderr)
        sys.exit(1)


def apply(name: str, params: Path, folder: Path = FOLDER) -> list[Change]:
    """Give the keys of `params` the values of a preset, and those of `default` to others.

    Keys that neither names (where drawings come from, where runs go) stay as they are.

    Args:
        name: of a file in `folder`, without its ending.
        params: the file to change, whole or not at all; where nothing changes it is not written.
        folder: of the presets.

    Returns:
        What changed, in the order of the file.

    Raises:
        InputError: if there is no such preset, if one names an unknown key, or if the params
            would not be valid afterwards; then nothing was written.
        NoSpaceError: if the disk is full.
    """
    presets = [_read(each, folder) for each in dict.fromkeys((BASE, name))]
    before = flat(read(params))
    for preset in presets:
        _check_keys(preset, before, params)
    values = {key: value for each in presets for key, value in each.values.items()}
    texts = {key: text for each in presets for key, text in each.texts.items()}
    changes = [
        Change(key, old, values[key])
        for key, old in before.items()
        if key in values and not _same(old, values[key])
    ]
    if not changes:
        load(params)
        return []
    place = params.resolve()  # what is behind a link is replaced, not the link
    try:
        text = place.read_bytes().decode("utf-8")
        new = exchanged(text, {change.key: texts[change.key] for change in changes})
    except InputError as error:
        raise InputError(f"{params}: {error}") from None
    with whole_file(place) as partial:
        partial.write_bytes(new.encode("utf-8"))
        shutil.copymode(place, partial)
        try:
            load(partial)
            _check_merged(partial, before | {change.key: change.after for change in changes})
        except InputError as error:
            told = str(error).replace(str(partial), f"{params} with {presets[-1].path}")
            raise InputError(told) from None
    return changes


def _names(folder: Path) -> list[str]:
    names = sorted(path.stem for path in folder.glob("*.yaml"))
    if not names:
        raise InputError(f"{folder}: no preset there; run this from the project's root")
    return names


def _read(name: str, folder: Path) -> Preset:
    """The preset `name`."""
    names = _names(folder)
    if name not in names:
        close = difflib.get_close_matches(name, names, n=2, cutoff=0.4)
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        raise InputError(f"{name!r:.80}: no such preset{hint}\n{_listing(folder)}")
    path = folder / f"{name}.yaml"
    values = flat(read(path))
    text = path.read_bytes().decode("utf-8")
    found = places(text)
    texts = {key: source(text, found.get(key), value) for key, value in values.items()}
    return Preset(path, _title(text), values, texts)


def _title(text: str) -> str:
    first = text.lstrip("\ufeff").partition("\n")[0]
    return first.lstrip("# ").rstrip() if first.startswith("#") else ""


def _listing(folder: Path) -> str:
    names = _names(folder)
    width = max(map(len, names))
    titles = [_title((folder / f"{name}.yaml").read_text("utf-8", "replace")) for name in names]
    return "\n".join(
        f"  {name:<{width}}  {title}".rstrip() for name, title in zip(names, titles, strict=True)
    )


def _check_keys(preset: Preset, known: dict[Key, Any], params: Path) -> None:
    for key in preset.values:
        if key not in known:
            name = ".".join(key)
            close = difflib.get_close_matches(name, map(".".join, known), n=1, cutoff=0.6)
            remedy = f"did you mean {close[0]}?" if close else "take it out, or add it there"
            raise InputError(f"{preset.path}: {name!r:.200}: not in {params}; {remedy}")


def _check_merged(place: Path, wanted: dict[Key, Any]) -> None:
    """Whether every value is read back as it was meant, whatever the layout of the file."""
    values = flat(read(place))
    for key, value in wanted.items():
        if key not in values or not _same(values[key], value):
            raise InputError(
                f"{place}: the value of {'.'.join(key)} cannot be exchanged in its place; "
                "write it on the line of its key, a list in brackets"
            )
    if len(values) != len(wanted):
        raise InputError(f"{place}: would hold other keys; write each value on one line")


def _same(one: Any, other: Any) -> bool:
    """Equal, and both or neither a yes or no: `True == 1` in Python."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _told(value: Any) -> str:
    if isinstance(value, list) and len(value) > FEW:
        return f"[{', '.join(map(shown, value[:2]))}, … {shown(value[-1])}] ({len(value)})"
    return shown(value)


if __name__ == "__main__":
    main()
