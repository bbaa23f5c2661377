"""The frame of a self-contained page: no network, no scripts, for phone, desk and paper."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1d; --soft: #5d6066; --line: #d9dbe0;
  --page: #fff; --card: #f5f6f8; --mark: #fff1d6; --edge: #d9961e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e9e9ec; --soft: #a4a7ae; --line: #3a3d44;
  --page: #16171a; --card: #202227; --mark: #3a2e14; --edge: #d9961e; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 62rem; background: var(--page);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: clamp(1.5rem, 5vw, 2.1rem); line-height: 1.15; margin: 0 0 .4rem; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; }
p { margin: .4rem 0; max-width: 44rem; }
.soft, figcaption { color: var(--soft); }
.synthetic { border-left: 4px solid var(--edge); background: var(--mark); padding: .6rem .9rem;
  margin: 1rem 0; max-width: none; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr));
  gap: 1rem; margin: 1.2rem 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: 1rem 1.1rem; }
.card h2 { margin: 0; font-size: .85rem; font-weight: 600; color: var(--soft); }
.card .verdict { font-size: 1.35rem; line-height: 1.25; font-weight: 650; margin: .3rem 0 .6rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .4rem .8rem .4rem 0; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; }
th { font-weight: 600; }
.numbers td, .numbers thead th + th { text-align: right; white-space: nowrap; }
.numbers th[scope=row] { white-space: nowrap; }
.facts th { width: 11rem; color: var(--soft); font-weight: 400; }
.facts td { overflow-wrap: anywhere; }
figure { margin: 1.2rem 0; }
figure svg, figure img { display: block; width: 100%; height: auto; }
figure img { background: #fff; max-width: 40rem; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr));
  gap: 1rem; }
.pair figure { margin: 0; }
.pair svg, .wide svg { min-width: 26rem; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: .4rem;
  padding: .7rem .9rem; overflow-x: auto; }
@media print { :root { --ink: #000; --soft: #444; --line: #bbb; --page: #fff; --card: #fff;
  --mark: #fff; } body { max-width: none; padding: 0; font-size: 10pt; }
  .card, figure, tr { break-inside: avoid; } h2 { break-after: avoid; }
  .pair { grid-template-columns: 1fr 1fr; } .pair svg, .wide svg { min-width: 0; }
  .scroll { overflow: visible; } }
"""


def escape(value: object) -> str:
    """Text for a page: also between quotes, also from an image set that strangers named."""
    return html.escape(str(value))


def table(
    caption: str, head: Sequence[str], rows: Iterable[Sequence[object]], kind: str = "numbers"
) -> str:
    """A table whose first column names its rows; every cell is escaped."""
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
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
