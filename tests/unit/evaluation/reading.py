"""A page as its reader has it: outline, text and tables."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "img", "br"}


@dataclass
class Table:
    """A table, and where it stands."""

    section: str
    heading: str  # the h3 before it
    rows: list[list[str]] = field(default_factory=list)  # with the head; notes behind a "|"


class Outline(HTMLParser):
    """The page's tags (checked for nesting), attributes, text and tables."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.text, self.open = "", [""]
        self.tables: list[Table] = []
        self.sections: list[str] = []
        self.heading = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "section":
            self.sections.append(dict(attrs).get("id") or "")
        elif tag == "h3":
            self.heading = ""
        elif tag == "table":
            self.tables.append(Table(self.sections[-1], self.heading))
        elif tag == "tr":
            self.tables[-1].rows.append([])
        elif tag in ("td", "th"):
            self.tables[-1].rows[-1].append("")
        elif tag == "small":
            self.tables[-1].rows[-1][-1] += "|"

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1] == "style":
            return
        self.text += data
        if self.open[-1] == "h3":
            self.heading += data
        if {"td", "th"} & set(self.open):
            self.tables[-1].rows[-1][-1] += data

    def of(self, section: str) -> list[Table]:
        """The tables of a section."""
        return [table for table in self.tables if table.section == section]


def numbers(text: str) -> list[tuple[float, int]]:
    """The numbers in a text, each with its digits behind the point."""
    plain = text.replace("\N{MINUS SIGN}", "-").replace(",", "")
    return [
        (float(found), len(found.partition(".")[2]))
        for found in re.findall(r"(?<![\w.])[-+]?\d+(?:\.\d+)?", plain)
    ]


def as_shown(text: str, values: list[float]) -> bool:
    """Whether the numbers in the text are these, rounded."""
    found = numbers(text)
    return len(found) == len(values) and all(
        abs(shown - value) <= 0.5 * 10**-digits + 1e-9
        for (shown, digits), value in zip(found, values, strict=True)
    )
