"""Values of a YAML file exchanged in their places: every other character stays as it is.

A round trip through a YAML library keeps comments, but not the layout: it wraps long lists, changes
quotes and moves blank lines.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from quickspine.errors import InputError

Key = tuple[str, ...]
COMMENT = re.compile(r"([ \t]+)#")
GAP = 2  # spaces before a comment that a long value pushes away


@dataclass(frozen=True)
class Place:
    """Where a value stands: the characters `start` to `end` of the text.

    Args:
        start: of a list with a line an entry, the character after the key's colon.
        end: the character after the value.
        inline: whether it can stand after any key as it is: a value in one piece, or in brackets.
        comment: what stands behind the key of a list with a line an entry.
        inner: whether there are comments between its entries, which another value would lose.
        block: whether it is text behind | or >.
    """

    start: int
    end: int
    inline: bool = True
    comment: str = ""
    inner: bool = False
    block: bool = False


def flat(values: Mapping[Any, Any]) -> dict[Key, Any]:
    """Values by the path of their keys; an empty mapping is a value."""
    found: dict[Key, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict) and value:
            found |= {(str(key), *inner): each for inner, each in flat(value).items()}
        else:
            found[(str(key),)] = value
    return found


def places(text: str) -> dict[Key, Place]:
    """Where the values of `text` stand, which `yaml_file.read` has found to be plain."""
    found: dict[Key, Place] = {}

    def walk(mapping: Node, path: Key) -> None:
        for key, value in mapping.value:
            inner = (*path, str(key.value))
            if isinstance(value, MappingNode) and value.value:
                walk(value, inner)
            else:
                found[inner] = _place(text, key, value)

    root = YAML(typ="safe", pure=True).compose(text)
    if isinstance(root, MappingNode):
        walk(root, ())
    return found


def source(text: str, place: Place | None, value: Any) -> str:
    """`value` as it may stand behind any key: as it is written in `text`, where that will do."""
    if place is None or not place.inline:
        return json.dumps(value, ensure_ascii=False, default=str)  # JSON is YAML
    return text[place.start : place.end] or "null"


def exchanged(text: str, values: Mapping[Key, str]) -> str:
    """`text` with other values at some of its keys.

    A comment behind a value keeps its column where there is room.

    Args:
        text: plain keys and values.
        values: what is to stand at each key, as `source` gives it.

    Raises:
        InputError: where an old value has comments between its entries, or is a block of text.
    """
    found = places(text)
    line_end = "\r\n" if "\r\n" in text else "\n"
    usual = _usual_column(text, found)
    for key, value in sorted(values.items(), key=lambda item: -found[item[0]].start):
        place = found[key]
        if place.inner:
            raise InputError(
                f"{'.'.join(key)}: comments stand between its entries, and another value would "
                "lose them; move them above the key"
            )
        if place.block:
            raise InputError(
                f"{'.'.join(key)}: written over several lines; write its value behind the key"
            )
        new = value.replace("\r\n", "\n").replace("\n", line_end)
        if not place.inline or place.start == place.end:
            new = f" {new}"
        if place.comment:
            new = f"{new}{' ' * GAP}{place.comment}"
        text = text[: place.start] + new + _rest(text, place, new, usual)
    return text


def _place(text: str, key: Node, value: Node) -> Place:
    start, end = value.start_mark.index, value.end_mark.index
    colon = text.find(":", key.end_mark.index) + 1 or start
    if isinstance(value, ScalarNode):
        if start == end:  # no value: ruamel has it in front of the next key
            return Place(colon, colon)
        block = value.style in ("|", ">")
        return Place(start, end, inline=not block, block=block)
    pieces = list(_pieces(value))
    if getattr(value, "flow_style", False) or not pieces:
        return Place(start, end, inner=_commented(text, start, end, pieces))
    end = pieces[-1].end_mark.index
    behind, _, before = text[colon:start].partition("\n")
    return Place(
        colon,
        end,
        inline=False,
        comment=behind.strip(),
        inner="#" in before or _commented(text, start, end, pieces),
    )


def _pieces(node: Node) -> Iterator[Node]:
    """The keys and values inside a list, in order."""
    if isinstance(node, ScalarNode):
        yield node
    elif isinstance(node, SequenceNode):
        for each in node.value:
            yield from _pieces(each)
    else:
        for key, value in node.value:
            yield from _pieces(key)
            yield from _pieces(value)


def _commented(text: str, start: int, end: int, pieces: list[Node]) -> bool:
    """Whether a comment stands in `text` from `start` to `end`, outside of the pieces."""
    ends = [start, *(piece.end_mark.index for piece in pieces)]
    starts = [*(piece.start_mark.index for piece in pieces), end]
    return any("#" in text[a:b] for a, b in zip(ends, starts, strict=True))


def _column(text: str, index: int) -> int:
    return index - (text.rfind("\n", 0, index) + 1)


def _usual_column(text: str, found: Mapping[Key, Place]) -> int:
    """The column at which most comments behind values begin."""
    behind = (COMMENT.match(text, place.end) for place in found.values())
    columns = Counter(_column(text, match.end()) - 1 for match in behind if match)
    return max(columns, key=lambda column: (columns[column], -column), default=0)


def _rest(text: str, place: Place, new: str, usual: int) -> str:
    """What follows a value, with a comment behind it moved back to its column."""
    match = COMMENT.match(text, place.end)
    if not match:
        return text[place.end :]
    column = _column(text, match.end()) - 1
    if column > usual and len(match[1]) <= GAP:  # a long value had pushed it away
        column = usual
    stands = text[: place.start] + new
    room = column - _column(stands, len(stands))
    return " " * (room if room > 0 else GAP) + text[match.end() - 1 :]
