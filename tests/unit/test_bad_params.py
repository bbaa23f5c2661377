"""Hundreds of params.yaml that nobody should have written: each refused, by name, at once.

What single mistakes are answered with stands in `test_params`; here are the many, and the real
front door.
"""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from quickspine import yaml_file
from quickspine.categories import quickdraw
from quickspine.errors import InputError
from quickspine.params import Params, load
from tests.unit.optional import OPTIONAL

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "params.yaml").read_text(encoding="utf-8")
VALUES: dict[str, Any] = YAML(typ="safe", pure=True).load(TEXT)
LIMIT_S = 120.0  # a hang, and no busy machine

Keys = tuple[str, ...]


def leaves(values: dict[str, Any], before: Keys = ()) -> list[Keys]:
    """The dotted way to every value."""
    found: list[Keys] = []
    for key, value in values.items():
        place = (*before, key)
        found += leaves(value, place) if isinstance(value, dict) else [place]
    return found


LEAVES = leaves(VALUES)
SECTIONS = sorted({keys[:depth] for keys in LEAVES for depth in range(len(keys))})


def at(values: dict[str, Any], keys: Keys) -> Any:
    for key in keys:
        values = values[key]
    return values


def with_yaml(keys: Keys, value: str) -> str:
    """The project's params with the YAML `value` at `keys`."""
    values = copy.deepcopy(VALUES)
    at(values, keys[:-1])[keys[-1]] = "(here)"
    return json.dumps(values, ensure_ascii=False).replace('"(here)"', value)


# No key takes any of these, whatever its type.
NEVER = (
    *(".nan", ".inf", "-.inf", "1e400", "-1e400", "9" * 400, "-" + "9" * 400, "0x" + "f" * 3000),
    *("2020-01-01", "2020-01-01T00:00:00Z", "{a: 1}", "[[1]]", "[{}]", "{}", '"\\ud800"', "[null]"),
)
# Nor any key with a number or a switch these: words of YAML 1.1, and numbers in quotes.
NO_NUMBERS = (
    *("yes", "off", "'1'", "'0.1'", "12:30:45", "'0o17'", "0x", "+-1"),
    *(
        "[]",
        "''",
        "'1,5'",
        "\uff11",
        "½",
        "0.1e",
        "1.2.3",
        "'true'",
        "nan",
        "inf",
        "None",
        "-",
        "1 2",
    ),
)
NUMBERS = [
    keys
    for keys in LEAVES
    if isinstance(at(VALUES, keys), int | float | bool)
    or keys[-1] in ("early_stopping", "dense_width", "spinal_width")
]

# What a name must never be: a path, markup, an order to a terminal, another name in disguise.
EVIL = st.sampled_from(
    [
        *(
            "../../etc/passwd",
            "/etc/passwd",
            "a/b",
            "a\\b",
            "..",
            ".",
            "C:\\a",
            "~",
            "cat/",
            "cat\0",
        ),
        *(
            "<script>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "&lt;",
            "' onload='x",
            "%2e%2e",
        ),
        *(" cat", "cat ", "Cat", "CAT", "cat\n", "ca\u0301t", "\uff43at", "c\u0430t", "cat\u200b"),
        *(
            "\u202ecat",
            "\u2066cat",
            "\x1b[31mcat",
            "\x07",
            "\x7f",
            "\x85",
            "\u2028",
            "\ufeffcat",
            "",
        ),
        *("cat" * 1000, "$(touch x)", "`touch x`", "; rm -rf .", "{{cat}}", "${cat}", "con", "nul"),
    ]
) | st.text(st.characters(exclude_categories=["Cs"]), max_size=20).filter(
    lambda name: name not in quickdraw()
)


@st.composite
def wrong_values(draw: st.DrawFn) -> tuple[str, str]:
    """One value that its key cannot have; the key."""
    keys, value = draw(
        st.tuples(st.sampled_from(LEAVES), st.sampled_from(NEVER))
        | st.tuples(st.sampled_from(NUMBERS), st.sampled_from(NO_NUMBERS))
    )
    return with_yaml(keys, value), ".".join(keys)


@st.composite
def out_of_range(draw: st.DrawFn) -> tuple[str, str]:
    """A number far outside; the key."""
    keys = draw(st.sampled_from([k for k in NUMBERS if not isinstance(at(VALUES, k), bool)]))
    number = draw(
        st.integers(10**10, 10**30) | st.integers(-(10**30), -1) | st.floats(max_value=-1e-9)
    )
    # `-0.0` and such are no business of this one: a share of nothing may be meant.
    return with_yaml(keys, repr(number).replace("inf", ".inf")), ".".join(keys)


@st.composite
def wrong_names(draw: st.DrawFn) -> tuple[str, str]:
    """A category of a name that is none."""
    names = [*draw(st.permutations(["apple", "cat"])), draw(EVIL)]
    names = draw(st.permutations(names))
    return with_yaml(("data", "categories"), json.dumps(names)), "data.categories"


@st.composite
def wrong_shapes(draw: st.DrawFn) -> tuple[str, str]:
    """A section that is no section, a key too few, a key too many."""
    values = copy.deepcopy(VALUES)
    kind = draw(st.sampled_from(["section", "missing", "unknown"]))
    if kind == "section":
        keys = draw(st.sampled_from([section for section in SECTIONS if section]))
        value = draw(st.sampled_from([None, 1, 0.5, True, "x", [], [1], [VALUES], {}]))
        at(values, keys[:-1])[keys[-1]] = value
        return json.dumps(values), ".".join(keys)
    if kind == "missing":
        keys = draw(st.sampled_from([k for k in LEAVES if k not in OPTIONAL]))
        del at(values, keys[:-1])[keys[-1]]
        return json.dumps(values), f"{'.'.join(keys)}: missing"
    section = draw(st.sampled_from(SECTIONS))
    name = draw(
        st.sampled_from(["__class__", "__proto__", "model_config", "<<", "=", "a b", "épochs"])
    )
    at(values, section)[name] = draw(st.sampled_from([None, 1, "x", {"a": 1}]))
    text = json.dumps(values, ensure_ascii=False)
    return text, f"{'.'.join((*section, name))}: unknown key"


# Inserted before a line of the project's own file; what the message then speaks of.
TRICKS = {
    "a: &a [*a]": "an anchor or alias",
    "<<: *default": "an anchor or alias",
    "a: &a x": "an anchor or alias",
    "a: !!python/object/apply:os.system ['touch x']": "a tag",
    "a: !!python/name:os.system": "a tag",
    "a: !<tag:yaml.org,2002:python/module:os> ''": "a tag",
    "a: !include /etc/passwd": "a tag",
    "a: !!binary gIGC": "a tag",
    "a: !!timestamp 2020-01-01": "a tag",
    "seeds: [1]\nseeds: [2]": "duplicate key",
    "\tseeds: [1]": "cannot start any token",
    "a: [1, 2": "YAML",
    "a: {b: c": "YAML",
    "a: 'open": "YAML",
    'a: "open': "YAML",
    'a: "\\q"': "YAML",
    "%TAG ! tag:x,2000:": "YAML",
    "@a: 1": "YAML",
    "a: b: c": "YAML",
    "---\na: 1\n---": "YAML",
    "? ? a": "YAML",
    "\x00": "YAML",
    "\x1b[2J: 1": "YAML",
    "\x80": "YAML",
    "\ufffe": "YAML",
    f"a: {'x' * 5000}": "characters in one piece",
    f"a: {'[' * 50}": "deep",
    f"a: [{'1, ' * 12_000}]": "keys and values",
    "1: 1": "Keys should be strings",
    "null: 1": "Keys should be strings",
    "2020-01-01: 1": "Keys should be strings",
    "1.5: 1": "Keys should be strings",
    "true: 1": "Keys should be strings",
    "[1, 2]: 1": "Keys should be strings",
}


@st.composite
def tricks(draw: st.DrawFn) -> tuple[str, str]:
    """A trick of YAML at the top or the end of a file that is right otherwise."""
    trick = draw(st.sampled_from(sorted(TRICKS)))
    text = draw(st.sampled_from([f"{trick}\n{TEXT}", f"{TEXT}\n{trick}\n"]))
    return text, TRICKS[trick]


not_text = st.binary(max_size=200).map(lambda data: (data, "")) | st.sampled_from(
    [
        *((TEXT.encode(code), "YAML") for code in ("utf-16", "utf-16-be", "utf-32")),
        (TEXT.encode() + b"\xff\xfe", "YAML"),
        (b"\x80\x04\x8c\x05posix\x8c\x06system\x93.", "YAML"),
        (b"PK\x03\x04" + b"\0" * 100, "YAML"),
        (b"#" * (200 << 10), "bytes"),
        (b"", "nothing"),
        (b"\n" * 100, "nothing"),
        (b"# nothing", "nothing"),
        (b"\xef\xbb\xbf", "nothing"),
    ]
)
bad: st.SearchStrategy[tuple[str | bytes, str]] = st.one_of(
    wrong_values(), out_of_range(), wrong_names(), wrong_shapes(), tricks(), not_text
)


@settings(max_examples=400)
@given(case=bad)
@example(case=(with_yaml(("data", "categories"), '["cat", "cat", "apple"]'), "data.categories"))
@example(case=(with_yaml(("data", "categories"), '["cat"]'), "data.categories"))
@example(case=(with_yaml(("data", "categories"), "[]"), "data.categories"))
@example(case=(with_yaml(("seeds",), "[1, 1]"), "seeds"))
@example(case=(with_yaml(("heads",), "[dense, dense]"), "heads"))
@example(case=(with_yaml(("heads",), "[../dense]"), "heads.0"))
def test_hundreds_of_bad_files_are_refused_by_name(
    tmp_path_factory: pytest.TempPathFactory, case: tuple[str | bytes, str]
) -> None:
    content, named = case
    folder = tmp_path_factory.getbasetemp() / "bad params"
    folder.mkdir(exist_ok=True)
    place = folder / "params.yaml"
    place.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as caught:
        load(place)
    message = str(caught.value)
    assert message.startswith(f"{place}: ")
    assert named in message
    assert len(message) < 20_000
    # Nothing in the file speaks to a terminal, or turns the line around.
    assert message.replace("\n", "").isprintable()
    assert [path.name for path in folder.iterdir()] == ["params.yaml"]


def test_as_many_keys_and_values_as_a_file_may_have_load_and_one_more_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "params.yaml"
    place.write_text(TEXT)
    nodes = _nodes(VALUES)
    monkeypatch.setattr(yaml_file, "MAX_NODES", nodes)
    load(place)
    monkeypatch.setattr(yaml_file, "MAX_NODES", nodes - 1)
    with pytest.raises(InputError, match=f"more than {nodes - 1} keys and values"):
        load(place)


def _nodes(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + sum(1 + _nodes(inner) for inner in value.values())
    return 1 + sum(map(_nodes, value)) if isinstance(value, list) else 1


def test_what_passes_is_a_plain_name(params: Params) -> None:
    """So a category is no path, no markup, and no other category in disguise."""
    names = quickdraw()
    assert set(params.data.categories) <= set(names)
    for name in names:
        assert Path(name).name == name
        assert re.fullmatch(r"[A-Za-z][A-Za-z -]*[a-z]", name)
    assert len({unicodedata.normalize("NFKC", name).casefold() for name in names}) == len(names)


def pipe(place: Path) -> None:
    os.mkfifo(place)


def folder(place: Path) -> None:
    place.mkdir()


def unreadable(place: Path) -> None:
    place.symlink_to(place)  # a loop: no one can read it, not even root


def device(place: Path) -> None:
    place.symlink_to("/dev/zero")


def nothing(place: Path) -> None:
    pass


def holding(content: str | bytes) -> Callable[[Path], None]:
    def write(place: Path) -> None:
        place.write_bytes(content if isinstance(content, bytes) else content.encode())

    return write


BOMB = "\n".join(
    ["a0: &a0 [x, x]", *(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 60)), TEXT]
)
DOOR: dict[str, tuple[Callable[[Path], None], str]] = {
    "pipe": (pipe, "a pipe or a device"),
    "device": (device, "a pipe or a device"),
    "folder": (folder, "cannot be read"),
    "loop": (unreadable, "cannot be read"),
    "missing": (nothing, "missing"),
    "empty": (holding(""), "holds nothing"),
    "binary": (holding(bytes(range(256))), "not readable as YAML"),
    "utf-16": (holding(TEXT.encode("utf-16")), "not readable as YAML"),
    "large": (holding(f"{TEXT}#{'x' * (200 << 10)}"), "more than 131072 bytes"),
    "commas": (holding(f"a: [{'1,' * 65_000}]"), "more than 10000 keys and values"),
    "colons": (holding(":\n" * 65_000), "more than 10000 keys and values"),
    "bomb": (holding(BOMB), "an anchor or alias (a0)"),
    "deep": (holding("[" * 100_000), "nested more than 32 deep"),
    "object": (holding("a: !!python/object/apply:os.system ['touch x']\n" + TEXT), "a tag"),
    "list": (holding("- 1\n- 2\n"), "holds a list"),
    "twice": (holding(TEXT + "\nseeds: [1]\n"), 'duplicate key "seeds"'),
    "nan": (holding(with_yaml(("train", "learning_rate"), ".nan")), "train.learning_rate: "),
    "huge": (holding(with_yaml(("train", "epochs"), "9" * 4000)), "train.epochs: "),
    "infinite": (holding(with_yaml(("train", "width"), "1e400")), "train.width: "),
    "switch": (holding(with_yaml(("data", "allow_fewer"), "yes")), "data.allow_fewer: "),
    "date": (holding(with_yaml(("tracking", "experiment"), "2020-01-01")), "a date"),
    "path": (holding(with_yaml(("data", "categories"), '["cat", "../../x"]')), "'../../x'"),
    "markup": (
        holding(with_yaml(("data", "categories"), '["cat", "<script>alert(1)</script>"]')),
        "data.categories: '<script>",
    ),
    "terminal": (
        holding(with_yaml(("data", "categories"), '["cat", "\\u001b[2J\\u202e"]')),
        r"'\x1b[2J\u202e'",
    ),
    "surrogate": (holding(with_yaml(("data", "mirror"), '"\\ud800"')), "data.mirror: "),
    "head": (holding(with_yaml(("heads",), "[dense, '; touch x']")), "heads.1: "),
}


@pytest.mark.parametrize("kind", DOOR)
def test_the_real_door_says_no_and_leaves_no_trace(tmp_path: Path, kind: str) -> None:
    make, named = DOOR[kind]
    project = tmp_path / "project"
    project.mkdir()
    place = tmp_path / "bad.yaml"
    make(place)
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.fetch", "--params", str(place)],
        cwd=project,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"fetch: {place}: ")
    assert named in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.replace("\n", "").isprintable()
    assert list(project.iterdir()) == []
