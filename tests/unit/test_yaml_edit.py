from __future__ import annotations

import pytest
from ruamel.yaml import YAML

from quickspine.errors import InputError
from quickspine.yaml_edit import exchanged, flat, places, source

TEXT = """\
# Before.
a: 1            # one
b:
  c: word       # two
  d: [x, y]     # three

# Between.
"e": 'quoted'   # four
f:              # five
g:
- 1
- 2
h:   # six
  - one
  - 'two'   # seven
last: 0.5"""


def load(text: str) -> object:
    return YAML(typ="safe", pure=True).load(text)


@pytest.mark.parametrize(
    ("key", "value", "old", "new"),
    [
        ("a", "22", "a: 1            # one", "a: 22           # one"),
        ("a", "1234567890", "a: 1            # one", "a: 1234567890   # one"),
        ("a", "12345678901234", "a: 1            # one", "a: 12345678901234  # one"),
        ("b.c", "'a # b: c'", "  c: word       # two", "  c: 'a # b: c' # two"),
        ("b.d", "[]", "  d: [x, y]     # three", "  d: []         # three"),
        ("e", "plain", "\"e\": 'quoted'   # four", '"e": plain      # four'),
        ("f", "0", "f:              # five", "f: 0            # five"),
        ("g", "[3]", "g:\n- 1\n- 2\n", "g: [3]\n"),
        ("h", "7", "h:   # six\n  - one\n  - 'two'   # seven", "h: 7  # six # seven"),
        ("last", "[1,\n 2]", "last: 0.5", "last: [1,\n 2]"),
    ],
)
def test_one_value_changes_and_nothing_else(key: str, value: str, old: str, new: str) -> None:
    assert TEXT.count(old) == 1
    result = exchanged(TEXT, {tuple(key.split(".")): value})
    assert result == TEXT.replace(old, new)
    after = flat(load(result))  # type: ignore[arg-type]
    before = flat(load(TEXT))  # type: ignore[arg-type]
    assert after == before | {tuple(key.split(".")): load(value)}


def test_many_values_change_at_once() -> None:
    values = {("a",): "0", ("b", "d"): "[z]", ("h",): "[]", ("last",): "true"}
    one_by_one = TEXT
    for key, value in values.items():
        one_by_one = exchanged(one_by_one, {key: value})
    assert exchanged(TEXT, values) == one_by_one
    assert exchanged(TEXT, {}) == TEXT


def test_a_comment_that_was_pushed_away_comes_back() -> None:
    text = "a: 1     # one\nb: 2     # two\nc: 3     # three\n"
    pushed = exchanged(text, {("b",): "'long, long'"})
    assert pushed.splitlines()[1] == "b: 'long, long'  # two"
    assert exchanged(pushed, {("b",): "2"}) == text


def test_a_comment_with_a_column_of_its_own_keeps_it() -> None:
    text = "a: 1     # one\nb: 2     # two\nc: 3 # three\nd: 4              # four\n"
    assert exchanged(text, {("c",): "5", ("d",): "66"}) == (
        "a: 1     # one\nb: 2     # two\nc: 5 # three\nd: 66             # four\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "a: [1, # one\n 2]\n",
        "a: [1, 2 # two\n ]\n",
        "a:\n  # above\n  - 1\n",
        "a:\n  - 1  # one\n  - 2\n",
    ],
)
def test_a_comment_that_would_be_lost_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"a: comments stand between its entries"):
        exchanged(text, {("a",): "[3]"})


def test_a_hash_inside_a_word_or_quotes_is_no_comment() -> None:
    assert exchanged("a: [x#1, '# 2']\n", {("a",): "[3]"}) == "a: [3]\n"


@pytest.mark.parametrize("start", ["", "\ufeff", "---\n"])
def test_line_ends_and_what_comes_first_stay(start: str) -> None:
    text = start + "a: 1 # one\r\nb: [1,\r\n    2]\r\n"
    result = exchanged(text, {("a",): "2", ("b",): "[3,\n    4]"})
    assert result == start + "a: 2 # one\r\nb: [3,\r\n    4]\r\n"


def test_what_is_written_over_several_lines_goes_elsewhere_as_json() -> None:
    text = "a:\n  - 'é'\n  - 1\nb: |\n  words\nc: [x,\n  'y']\nd:\n"
    values = flat(load(text))  # type: ignore[arg-type]
    found = places(text)
    texts = {key[0]: source(text, found[key], value) for key, value in values.items()}
    assert texts == {"a": '["é", 1]', "b": '"words\\n"', "c": "[x,\n  'y']", "d": "null"}
