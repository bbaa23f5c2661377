"""Figures as bytes: the same figure gives the same file, and SVG that fits into a page."""

from __future__ import annotations

import html
import io
import re
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from quickspine.evaluation.charts import INK, PAPER


def text(figure: Figure, name: str) -> str:
    """The figure as an SVG document without dates; `name` tells its ids from other figures'."""
    buffer = io.StringIO()
    # Text stays text: small, selectable, and in any script that the reader's machine knows.
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", metadata=nothing)
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n"


def png(figure: Figure, place: Path) -> None:
    """Write the figure as a PNG of 160 dpi, without the program's name and version."""
    figure.savefig(place, dpi=160, metadata={"Software": None})


def inline(document: str, name: str, title: str) -> str:
    """An SVG document as an element of a page.

    It takes the width that there is and the page's text colour (so that it is readable on a dark
    page too), is named by `title` to those who do not see it, and its ids clash with no other's.
    """
    body = document[document.index("<svg") :]
    head, rest = body.split(">", 1)
    box = re.search(r'viewBox="([^"]*)"', head)
    if box is None:
        raise ValueError(f"an SVG of matplotlib has a viewBox. Received: {head[:200]}")
    rest = re.sub(r"<metadata>.*?</metadata>\s*", "", rest, flags=re.DOTALL)
    tags = "".join(re.findall(r"<[^>]*>", rest))
    used = {*re.findall(r"#([A-Za-z][\w.-]*)\)", tags), *re.findall(r'href="#([^"]+)"', tags)}

    def changed(tag: re.Match[str]) -> str:
        text = re.sub(
            r' id="([^"]*)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", tag[0]
        )
        text = re.sub(r'(url\(|href=")#', rf"\g<1>#{name}-", text)
        return text.replace(INK, "currentColor").replace(f"fill: {PAPER}", "fill: none")

    # In tags only: between them stand names, which may look like anything.
    rest = re.sub(r"<[^>]*>", changed, rest)
    label, width = html.escape(title), 1.5 * float(box[1].split()[2])  # points; larger is coarse
    return (
        f'<svg role="img" aria-label="{label}" viewBox="{box[1]}" '
        f'style="--full: {width:.0f}px; max-width: var(--full)" '
        'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">' + rest
    )
