"""The drawings themselves: where two heads part, and the worst confusions."""

from __future__ import annotations

from quickspine.evaluation import drawings, numbers
from quickspine.evaluation.evidence import Evidence
from quickspine.evaluation.examples import Apart, Confused, Parted
from quickspine.evaluation.numbers import SPACE
from quickspine.evaluation.page import Section, escape
from quickspine.evaluation.pairing import told


def apart(evidence: Evidence) -> Section | None:
    """Drawings that one head gets right and the other wrong, both ways."""
    body = "".join(
        f"<h3>{escape(told(stage))}</h3>\n"
        + "".join(_parted(evidence, each) for each in found.apart)
        for stage, found in evidence.examples.items()
        if found.apart
    )
    if not body:
        return None
    return Section(
        "apart",
        "Drawings on which the heads part",
        "Each picture is a test drawing with its true category in bold; below it, what the seeds "
        "of each head answered. Those come first on which the seeds agree most.",
        body,
    )


def _parted(evidence: Evidence, found: Parted) -> str:
    one, other = (
        f"all {seeds} {head} seeds get" if seeds > 1 else f"the {head} head gets"
        for head, seeds in zip((found.winner, found.loser), found.seeds, strict=True)
    )
    title = f"<h4>{escape(found.winner)} right, {escape(found.loser)} wrong</h4>\n"
    words = f"Drawings that {one} right and {other} wrong: {found.unanimous:,}."
    if not found.shown:
        return f'{title}<p class="soft">{escape(words)}</p>\n'
    items = "".join(_apart(evidence, found, each) for each in found.shown)
    return f'{title}<p class="soft">{escape(words)}</p>\n<ul class="drawings">\n{items}</ul>\n'


def _apart(evidence: Evidence, found: Parted, shown: Apart) -> str:
    label, answer = evidence.categories[shown.label], evidence.categories[shown.answer]
    answers = (
        f"{found.winner}: {label}{_of(shown.right, found.seeds[0])}",
        f"{found.loser}: {answer}{_of(shown.wrong, found.seeds[1])}",
    )
    lines = "<br>".join(map(escape, answers))
    return f"<li>{_picture(evidence, label, shown.position)}<b>{escape(label)}</b>{lines}</li>\n"


def _of(times: int, seeds: int) -> str:
    return f" ({times}{SPACE}of{SPACE}{seeds})" if seeds > 1 else ""


def confusions(evidence: Evidence) -> Section | None:
    """The most frequent confusions of each stage, with drawings."""
    body = "".join(
        f"<h3>{escape(told(stage))}</h3>\n"
        + '<div class="pair">\n'
        + "".join(_confused(evidence, each) for each in found.confused)
        + "</div>\n"
        for stage, found in evidence.examples.items()
        if found.confused
    )
    if not body:
        return None
    return Section(
        "confusions",
        "The worst confusions",
        "What is taken for what most often, over all heads and seeds: the per cent is of a head's "
        "answers to drawings of the true category. The drawings are those that most seeds confuse.",
        body,
    )


def _confused(evidence: Evidence, found: Confused) -> str:
    label, answer = evidence.categories[found.label], evidence.categories[found.answer]
    shares = ", ".join(
        f"{head} {numbers.percent(share)}{SPACE}%" for head, share in found.shares.items()
    )
    items = "".join(f"<li>{_picture(evidence, label, place)}</li>\n" for place in found.positions)
    return (
        f"<div><h4>{escape(label)} taken for {escape(answer)}</h4>\n"
        f'<p class="soft">{escape(shares)}</p>\n<ul class="drawings bare">\n{items}</ul></div>\n'
    )


def _picture(evidence: Evidence, label: str, position: int) -> str:
    bitmap = evidence.bitmaps[position]
    height, width = bitmap.shape[:2]
    source = drawings.address(drawings.png(bitmap, light=evidence.light))
    alt = escape(f"{label}, test drawing {position}")
    return f'<img width="{width}" height="{height}" alt="{alt}" src="{source}">'
