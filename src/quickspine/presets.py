"""Merge settings by name into params.yaml: values change, comments and layout stay."""

from __future__ import annotations

import argparse
import difflib
import io
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq
from ruamel.yaml.error import CommentMark
from ruamel.yaml.representer import RoundTripRepresenter
from ruamel.yaml.tokens import CommentToken

from quickspine.console import make_output_safe
from quickspine.errors import InputError, NoSpaceError
from quickspine.files import whole_file
from quickspine.params import load
from quickspine.params.errors import shown
from quickspine.yaml_file import Key, flatten, read

FOLDER = Path("presets")
BASE = "default"  # a key that a preset does not name gets its value here
SHOWN_ENTRIES = 6  # longer lists are cut in messages
LINE_WIDTH = 100  # at which long lists are broken


@dataclass(frozen=True)
class Change:
    """One key of params.yaml, before and after."""

    key: Key
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{'.'.join(self.key)}: {_format(self.before)} → {_format(self.after)}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Apply a preset and print what changed; exit with 0 done, 2 wrong name, preset or params."""
    make_output_safe()
    parser = argparse.ArgumentParser(prog="python -m quickspine.presets", description=__doc__)
    parser.add_argument("name", nargs="?", help="a file of presets/, without .yaml")
    parser.add_argument(
        "--list", action="store_true", help="list the presets (also without a name)"
    )
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
        print(f"{preset}: {_title(preset)}")
        for change in changes:
            print(f"  {change}")
        print(f"{args.params}: {len(changes)} values changed")
        print("next: make plan (what would run, and why), then make repro")
    except InputError as error:
        print(f"preset: {error}", file=sys.stderr)
        sys.exit(2)
    except NoSpaceError as error:
        print(f"preset: {error}", file=sys.stderr)
        sys.exit(1)


def apply(name: str, params: Path, folder: Path = FOLDER) -> list[Change]:
    """Give the keys of `params` the values of a preset, and of `default` where it names none.

    Keys that neither names (where data comes from, where runs go) stay as they are.

    Args:
        name: of a file in `folder`, without its ending.
        params: the file to change, whole or not at all; it is not written if nothing changes.
        folder: of the presets.

    Returns:
        What changed, in the order of the file.

    Raises:
        InputError: if there is no such preset, if one names an unknown key, or if the params
            would not be valid afterwards; then nothing was written.
        NoSpaceError: if the disk is full.
    """
    before = flatten(read(params))
    values: dict[Key, Any] = {}
    for each in dict.fromkeys((BASE, name)):
        path = _find(each, folder)
        found = flatten(read(path))
        _check_keys(path, found, before, params)
        values |= found
    changes = [
        Change(key, old, values[key])
        for key, old in before.items()
        if key in values and not _same(old, values[key])
    ]
    if not changes:
        load(params)
        return []
    target = params.resolve()  # what is behind a link is replaced, not the link
    new = _edit(target.read_bytes().decode("utf-8"), {each.key: each.after for each in changes})
    with whole_file(target) as partial:
        partial.write_bytes(new.encode("utf-8"))
        shutil.copymode(target, partial)
        try:
            load(partial)
            expected = before | {each.key: each.after for each in changes}
            if flatten(read(partial)) != expected:
                raise InputError(f"{partial}: the values could not be merged; see its layout")
        except InputError as error:
            message = str(error).replace(str(partial), f"{params} with {folder / name}.yaml")
            raise InputError(message) from None
    return changes


class _Representer(RoundTripRepresenter):
    """Writes null as null, where ruamel would leave the value away."""


_Representer.add_representer(
    type(None), lambda self, data: self.represent_scalar("tag:yaml.org,2002:null", "null")
)


def _edit(text: str, values: Mapping[Key, Any]) -> str:
    """YAML with other values at some of its keys; comments, quotes and order stay.

    A comment behind a value goes back to the usual column where an old value had pushed it away.
    """
    yaml = YAML(typ="rt", pure=True)
    yaml.preserve_quotes = True
    yaml.width = LINE_WIDTH
    yaml.Representer = _Representer
    content = yaml.load(text.removeprefix("\ufeff").replace("\r\n", "\n"))
    usual = _usual_column(text)
    for (*sections, last), value in values.items():
        section = content
        for name in sections:
            section = section[name]
        behind = [*_tokens(section.ca.items.get(last)), *_inner_tokens(section[last])]
        comments = list({id(token): token for token in behind}.values())
        if isinstance(value, list):
            value = CommentedSeq(value)
            value.fa.set_flow_style()
        section[last] = value
        if comments:
            column = min(comments[0].start_mark.column, usual)
            joined = "".join(token.value for token in comments)
            token = CommentToken(joined, CommentMark(column), None)
            section.ca.items[last] = [None, None, token, None]
    out = io.StringIO()
    yaml.dump(content, out)
    # Where a long list is broken, ruamel leaves a space at the end of a line.
    lines = [line.rstrip(" ") for line in out.getvalue().split("\n")]
    return ("\r\n" if "\r\n" in text else "\n").join(lines)


def _tokens(comments: Any) -> Iterator[CommentToken]:
    """The comments in ruamel's nested lists of them, in order."""
    if isinstance(comments, CommentToken):
        yield comments
    elif isinstance(comments, list):
        for each in comments:
            yield from _tokens(each)


def _inner_tokens(value: Any) -> Iterator[CommentToken]:
    """The comments between and behind the entries of a list."""
    if isinstance(value, CommentedSeq):
        yield from _tokens(value.ca.comment)
        for index in sorted(value.ca.items):
            yield from _tokens(value.ca.items[index])
        yield from _tokens(value.ca.end)


def _usual_column(text: str) -> int:
    """The column at which most comments behind values begin."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    columns = Counter(line.index(" # ") + 1 for line in lines if " # " in line)
    return max(columns, key=lambda column: (columns[column], -column), default=0)


def _names(folder: Path) -> list[str]:
    names = sorted(path.stem for path in folder.glob("*.yaml"))
    if not names:
        raise InputError(f"{folder}: no preset there; run this from the project's root")
    return names


def _find(name: str, folder: Path) -> Path:
    """The file of the preset `name`; raises InputError that lists the presets."""
    names = _names(folder)
    if name not in names:
        close = difflib.get_close_matches(name, names, n=2, cutoff=0.4)
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        raise InputError(f"{name!r:.80}: no such preset{hint}\n{_listing(folder)}")
    return folder / f"{name}.yaml"


def _title(path: Path) -> str:
    """The first line of a preset's header."""
    first = path.read_text("utf-8-sig", "replace").partition("\n")[0]
    return first.lstrip("# ").rstrip() if first.startswith("#") else ""


def _listing(folder: Path) -> str:
    names = _names(folder)
    width = max(map(len, names))
    lines = [f"  {name:<{width}}  {_title(folder / f'{name}.yaml')}" for name in names]
    return "\n".join(line.rstrip() for line in lines)


def _check_keys(preset: Path, values: dict[Key, Any], known: dict[Key, Any], params: Path) -> None:
    for key in values:
        if key not in known:
            name = ".".join(key)
            close = difflib.get_close_matches(name, map(".".join, known), n=1, cutoff=0.6)
            remedy = f"did you mean {close[0]}?" if close else "take it out, or add it there"
            raise InputError(f"{preset}: {name!r:.200}: not in {params}; {remedy}")


def _same(one: Any, other: Any) -> bool:
    """Whether values are equal, and both or neither boolean: `True == 1` in Python."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _format(value: Any) -> str:
    if isinstance(value, list) and len(value) > SHOWN_ENTRIES:
        return f"[{', '.join(map(shown, value[:2]))}, … {shown(value[-1])}] ({len(value)})"
    return shown(value)


if __name__ == "__main__":
    main()
