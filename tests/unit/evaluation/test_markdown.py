from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from quickspine.evaluation.markdown import escape, listed, table
from tests.unit.evaluation.test_hostile_names import HOSTILE

READER = MarkdownIt("gfm-like", {"linkify": False, "html": True})
letters = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])
names = st.sampled_from(HOSTILE) | st.text(letters, min_size=1, max_size=30)
MARKDOWN = (
    "*a*",
    "[a](b)",
    "![a](b)",
    "a|b",
    "`a`",
    "~~a~~",
    "a\\",
    "<b>",
    "https://a.b",
    "www.a.b",
)


def told(text: str) -> tuple[list[str], str]:
    """The kinds of markup in a page, and its text."""
    kinds, words = [], ""
    for token in READER.parse(text):
        kinds.append(token.type)
        for child in token.children or []:
            kinds.append(child.type)
            words += child.content
    return kinds, words


@given(names)
@example(MARKDOWN[0])
def test_no_name_becomes_markup(name: str) -> None:
    plain = " ".join(name.split())
    kinds, words = told(f"Category: {escape(name)}; next\n")
    assert {kind.removesuffix("_special") for kind in kinds} <= {
        "paragraph_open", "inline", "text", "paragraph_close",
    }  # fmt: skip
    assert " ".join(words.split()) == " ".join(f"Category: {plain}; next".split())


@pytest.mark.parametrize("name", [*MARKDOWN, *HOSTILE])
def test_nor_in_a_table_or_a_list(name: str) -> None:
    plain = told(table(["a", "b"], [("x", "y")]) + "\n" + listed(["z"]))[0]
    cell = escape(name)
    kinds, words = told(table(["a", "b"], [(cell, cell)]) + "\n" + listed([f"is {cell}"]))
    same = [kind for kind in kinds if not kind.startswith("text")]
    assert same == [kind for kind in plain if not kind.startswith("text")]
    assert words.count(" ".join(name.split())) >= 3


def test_addresses_are_no_links() -> None:
    assert escape("https://a.b www.c.d") == r"https\://a.b www\.c.d"


def test_a_name_of_two_lines_is_one() -> None:
    assert escape("a\n\n# b\t c") == r"a \# b c"
