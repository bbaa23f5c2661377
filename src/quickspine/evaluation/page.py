"""The frame of a self-contained page: no network, no scripts, for phone, desk and paper."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1d; --soft: #5d6066; --line: #d9dbe0;
  --page: #fff; --card: #f5f6f8; --mark: #fff1d6; --edge: #d9961e; --link: #1f5fa8; }
@media (prefers-color-scheme: dark) { :root { --ink: #e9e9ec; --soft: #a4a7ae; --line: #3a3d44;
  --page: #16171a; --card: #202227; --mark: #3a2e14; --edge: #d9961e; --link: #8fbdf0; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 62rem; background: var(--page);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: clamp(1.5rem, 5vw, 2.1rem); line-height: 1.15; margin: 0 0 .4rem; }
h2 { font-size: 1.3rem; line-height: 1.2; margin: 0 0 .3rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
h4 { font-size: .95rem; font-weight: 600; margin: 1rem 0 .3rem; }
p { margin: .4rem 0; max-width: 44rem; }
a { color: var(--link); }
body > section { margin-top: 2.2rem; padding-top: 1.2rem; border-top: 1px solid var(--line); }
.soft, figcaption, .how, small { color: var(--soft); }
.how { margin: 0 0 .8rem; }
small { display: block; font-size: .8rem; font-weight: 400; line-height: 1.3; }
.synthetic { border-left: 4px solid var(--edge); background: var(--mark); padding: .6rem .9rem;
  margin: 1rem 0; max-width: none; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr));
  gap: 1rem; margin: 1.2rem 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: 1rem 1.1rem; }
.card h2 { margin: 0; font-size: .85rem; font-weight: 600; color: var(--soft); }
.card ul { margin: .6rem 0 0; padding-left: 1.1rem; }
.card li + li { margin-top: .4rem; }
.card .verdict { font-size: 1.35rem; line-height: 1.25; font-weight: 650; margin: .3rem 0 .6rem; }
nav { display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; margin: 1.2rem 0; }
nav a { padding: .25rem 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .4rem .8rem .4rem 0; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; }
th { font-weight: 600; }
.numbers { width: auto; min-width: min(100%, 26rem); }
.numbers td, .numbers thead th + th { text-align: right; white-space: nowrap;
  padding: .4rem 0 .4rem 1.6rem; }
.numbers th:first-child { position: sticky; left: 0; background: var(--page);
  min-width: 8.5rem; max-width: 17rem; }
.worded td:last-child, .worded thead th:last-child { text-align: left; white-space: normal;
  min-width: 14rem; }
.facts th { width: 11rem; color: var(--soft); font-weight: 400; }
.facts td { overflow-wrap: anywhere; }
.digests td { font-family: ui-monospace, monospace; font-size: .8rem; }
figure { margin: 1.2rem 0; }
figure svg, figure img { display: block; width: 100%; height: auto; }
figure img { background: #fff; max-width: 40rem; }
.pair, .trio { display: grid; gap: 1rem 1.5rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
.trio { grid-template-columns: repeat(auto-fit, minmax(min(100%, 17rem), 1fr)); }
.pair figure, .trio figure { margin: 0; }
.pair h4 { margin-top: 0; }
.pair ul { margin-bottom: 0; }
.matrix svg { min-width: min(40rem, var(--full)); }
details { margin: 1rem 0; }
summary { cursor: pointer; color: var(--link); }
.drawings { display: grid; grid-template-columns: repeat(auto-fill, minmax(6.5rem, 1fr));
  gap: .9rem; list-style: none; margin: .6rem 0 1.2rem; padding: 0; }
.drawings li { font-size: .82rem; line-height: 1.35; }
.bare { grid-template-columns: repeat(auto-fill, 4.8rem); }
.drawings img { display: block; width: 100%; height: auto; background: #fff; margin-bottom: .3rem;
  border: 1px solid var(--line); border-radius: .4rem; padding: 4%; }
.drawings b { display: block; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: .4rem;
  padding: .7rem .9rem; overflow-x: auto; }
@media (max-width: 30rem) { .numbers { font-size: .85rem; min-width: 100%; }
  .numbers td, .numbers thead th + th { padding-left: .8rem; }
  .numbers th:first-child { min-width: 6.6rem; } }
@media print { :root { --ink: #000; --soft: #444; --line: #bbb; --page: #fff; --card: #fff;
  --mark: #fff; } body { max-width: none; padding: 0; font-size: 9.5pt; }
  .card, figure, tr, .drawings li { break-inside: avoid; } h2, h3, h4, .how { break-after: avoid; }
  .pair { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .trio { grid-template-columns: repeat(3, minmax(0, 1fr)); }
  .matrix svg { min-width: 0; } nav { display: none; } .scroll { overflow: visible; }
  .numbers { font-size: 8pt; min-width: 0; } .numbers th:first-child { min-width: 0; }
  .numbers td, .numbers thead th + th { padding-left: .5rem; white-space: normal; }
  .worded td:last-child, .worded thead th:last-child { min-width: 8rem; }
  .drawings { grid-template-columns: repeat(8, 1fr); gap: .5rem; }
  .bare { grid-template-columns: repeat(auto-fill, 3.6rem); } }
"""

Cell = object | tuple[str, str]  # of a first column also a name with a note below it


@dataclass(frozen=True)
class Section:
    """A part of the page that says how it is to be read; `body` is markup, the rest text."""

    name: str  # what links point to
    title: str
    how: str
    body: str

    def __str__(self) -> str:
        return (
            f'<section id="{escape(self.name)}">\n<h2>{escape(self.title)}</h2>\n'
            f'<p class="how">{escape(self.how)}</p>\n{self.body}</section>\n'
        )


def escape(value: object) -> str:
    """Text for a page: also between quotes, also from an image set that strangers named."""
    return html.escape(str(value))


def contents(sections: Iterable[Section]) -> str:
    """Links to the sections."""
    links = "\n".join(
        f'<a href="#{escape(each.name)}">{escape(each.title)}</a>' for each in sections
    )
    return f'<nav aria-label="Sections">\n{links}\n</nav>\n'


def _name(cell: Cell) -> str:
    if isinstance(cell, tuple):
        name, note = cell
        return escape(name) + (f"<small>{escape(note)}</small>" if note else "")
    return escape(cell)


def table(
    caption: str, head: Sequence[str], rows: Iterable[Sequence[Cell]], kind: str = "numbers"
) -> str:
    """A table whose first column names its rows; every cell is escaped."""
    body = "".join(
        f'<tr><th scope="row">{_name(name)}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        + "</tr>\n"
        for name, *cells in rows
    )
    top = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    top = f"<thead><tr>{top}</tr></thead>\n" if head else ""
    # Not a <caption>: that would scroll away with a wide table.
    label = f'<p class="soft">{escape(caption)}</p>\n' if caption else ""
    return (
        f'{label}<div class="scroll" tabindex="0"><table class="{kind}">{top}'
        f"<tbody>\n{body}</tbody></table></div>\n"
    )


def figure(picture: str, caption: str, kind: str = "") -> str:
    """A figure; `picture` is markup, `caption` text."""
    return (
        f'<figure class="{kind}"><div class="scroll" tabindex="0">{picture}</div>'
        f"<figcaption>{escape(caption)}</figcaption></figure>\n"
    )


def document(title: str, body: str) -> str:
    """The whole page; its policy forbids every load from elsewhere and every script."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n{body}</body>\n</html>\n"
    )
