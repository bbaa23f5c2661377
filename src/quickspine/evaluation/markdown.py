"""Text for a Markdown page: also names that strangers gave."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

# All that can mean something inside a line, on GitHub too: ":" and "www." make links of addresses,
# "@" of names, "~" strikes out, "$" begins a formula.
MARKS = re.compile(r"([\\`*_{}\[\]<>#!|~&$@:^]|(?<=[wW])\.)")


def escape(value: object) -> str:
    """One line of text in which nothing is markup."""
    line = " ".join(str(value).split())
    return MARKS.sub(r"\\\1", line)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells are Markdown already. Numbers stand to the right."""
    lines = ["| " + " | ".join(head) + " |", "|---" + "|--:" * (len(head) - 1) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def listed(items: Iterable[str]) -> str:
    """A list; items are Markdown already."""
    return "".join(f"- {item}\n" for item in items)
