"""The answer: one card a stage, before everything that it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from quickspine.evaluation import numbers
from quickspine.evaluation.numbers import SPACE, points
from quickspine.evaluation.page import escape
from quickspine.evaluation.pairing import is_open, told
from quickspine.params import DRAWN

QUESTION = "Does a SpinalNet head beat a dense head?"
PAIR = ("spinal", "dense")
SEEDS = 6  # whose McNemar counts a card has room for


def top(metrics: dict[str, Any], notes: Mapping[str, Sequence[str]]) -> str:
    """The question, what was compared on what, and the answers.

    Args:
        metrics: what `comparison.summarise` returned.
        notes: by stage, sentences that its verdict must not be read without.
    """
    data = metrics["data"]
    kind = "drawings" if data["source"] in DRAWN else "images"
    kind = f"synthetic {kind}" if data["synthetic"] else kind
    text = (
        f"<h1>{QUESTION}</h1>\n"
        f'<p class="soft">{escape(data["source"])}: {len(data["categories"])} categories, '
        f"{data['train']:,} {kind} for training, {data['test']:,} for testing</p>\n"
    )
    if data["synthetic"]:
        text += (
            '<p class="synthetic"><strong>Synthetic drawings.</strong> A program drew them, not '
            "people: these numbers say how the heads compare on such drawings, and no more.</p>\n"
        )
    found = metrics["comparisons"].items()
    cards = "".join(_card(stage, compared, notes.get(stage, ())) for stage, compared in found)
    if not cards:
        text += "".join(f"<p>{escape(note)}</p>\n" for each in notes.values() for note in each)
        return text + (
            "<p>No stage has both a spinal and a dense head, so nothing is compared here.</p>\n"
        )
    return text + f'<div class="cards">\n{cards}</div>\n'


def _card(stage: str, found: dict[str, Any], notes: Sequence[str]) -> str:
    verdict = found["verdict"][:1].upper() + found["verdict"][1:]
    reduction = found["error_reduction"]
    fewer = "" if reduction is None else f" (error reduction {numbers.signed(reduction)}{SPACE}%)"
    lines = [_interval(found), _p_values(found), _mcnemar(found["mcnemar"])]
    if is_open(PAIR, found):
        lines.append(f"To settle it: {found['needed']['words']}.")
    lines += notes
    listed = "".join(f"<li>{escape(line)}</li>\n" for line in lines)
    return (
        f'<section class="card"><h2>{escape(told(stage))}</h2>\n'
        f'<p class="verdict">{escape(verdict)}</p>\n'
        f"<p>Spinal minus dense: <strong>{points(found['accuracy_difference'])} points</strong> of "
        f"test accuracy{fewer}, {numbers.several(found['seeds'], 'seed')}.</p>\n"
        f"<ul>\n{listed}</ul></section>\n"
    )


def _interval(found: dict[str, Any]) -> str:
    """The 95 % interval in words, and the one that the verdict looks at where it is another."""
    low, high = found["ci95"]
    inside = low <= 0 <= high
    words = (
        f"With other {found['resampled']} it could as well have come out between {points(low)} and "
        f"{points(high)} points (95{SPACE}% interval): zero is "
        f"{'inside, so neither head is ahead for certain' if inside else 'outside'}."
    )
    if "ci" in found:
        low, high = found["ci"]
        words += (
            f" The verdict looks at the {100 * found['confidence']:g}{SPACE}% interval, "
            f"{points(low)} to {points(high)}."
        )
    return words


def _p_values(found: dict[str, Any]) -> str:
    level = 1 - found.get("confidence", 0.95)
    below = "below" if found["p_holm"] < level else "not below"
    return (
        f"Would luck do as well? Swapping the two heads' answers, drawing by drawing: "
        f"{numbers.p(found['p_value'])}. Over {found['resampled']}: "
        f"{numbers.p(found['p_bootstrap'])}. The larger of the two, corrected for the number of "
        f"comparisons (Holm): {numbers.p(found['p_holm'])}, {below} {level:.2g}."
    )


def _mcnemar(seeds: list[dict[str, Any]]) -> str:
    """How many drawings only one of the two heads got right, seed by seed."""
    counts = [
        f"seed {each['seed']}: {each['better']:,} to {each['worse']:,} "
        f"({numbers.p(each['p_value'])})"
        for each in seeds[:SEEDS]
    ]
    if len(seeds) > SEEDS:
        counts.append(f"and {len(seeds) - SEEDS} more seeds")
    return (
        f"Drawings that only spinal got right, to only dense (McNemar's test): {'; '.join(counts)}."
    )
