"""Choose the test images that the report shows: disagreements of heads, frequent confusions.

A pure function of predictions and labels: the same runs give the same images.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from quickspine.evaluation.metrics import Ints, ModelRun, confusion
from quickspine.evaluation.summary import Pairs

SHOWN = 8  # images for each head that is right where the other is wrong
CONFUSIONS = 6  # pairs of categories
EXAMPLES = 6  # images of each


@dataclass(frozen=True)
class Example:
    """An image that most seeds of one head get right, and most seeds of another wrong."""

    position: int  # in the test split
    label: int
    right: int  # seeds of the one head that are right
    answer: int  # the most frequent wrong prediction of the other head
    wrong: int  # seeds of the other head that predict it


@dataclass(frozen=True)
class Disagreement:
    """The images on which `winner` is right and `loser` is wrong."""

    winner: str
    loser: str
    seeds: tuple[int, int]  # of each of the two
    unanimous: int  # images that all seeds of one get right and all of the other wrong
    shown: tuple[Example, ...]


@dataclass(frozen=True)
class Confusion:
    """Images of category `label` that were predicted as `answer`."""

    label: int
    answer: int
    shares: Mapping[str, float]  # of each head's predictions for images of `label`, 0…1
    positions: tuple[int, ...]  # in the test split, those that most seeds confuse first


@dataclass(frozen=True)
class Examples:
    """The images to show of one stage."""

    disagreements: tuple[Disagreement, ...]  # both ways; none where a stage has one head
    confusions: tuple[Confusion, ...]  # the most frequent first


def positions(examples: Mapping[str, Examples]) -> set[int]:
    """Positions in the test split of all images that are shown."""
    every: set[int] = set()
    for of_stage in examples.values():
        every.update(each.position for one in of_stage.disagreements for each in one.shown)
        every.update(*(each.positions for each in of_stage.confusions))
    return every


def pick(runs: Sequence[ModelRun], labels: Ints, pairs: Pairs) -> dict[str, Examples]:
    """Choose the images to show of each stage.

    Args:
        runs: as given to `comparison.summarise`.
        labels: int [N], the true labels.
        pairs: by stage the two heads to compare; see `summary.main_pairs`.
    """
    by_stage = {}
    for stage, pair in pairs.items():
        groups: dict[str, list[ModelRun]] = {}
        for run in runs:
            if run.stage == stage:
                groups.setdefault(run.head, []).append(run)
        answers = {
            head: np.stack([run.logits.argmax(axis=1) for run in group])
            for head, group in groups.items()
        }
        both = () if pair is None else (pair, pair[::-1])
        matrices = {
            head: np.sum([confusion(run.logits, labels) for run in group], axis=0)
            for head, group in groups.items()
        }
        by_stage[stage] = Examples(
            tuple(disagree(one, two, answers[one], answers[two], labels) for one, two in both),
            confusions(matrices, answers.values(), labels),
        )
    return by_stage


def disagree(
    winner: str, loser: str, winners: Ints, losers: Ints, labels: Ints, most: int = SHOWN
) -> Disagreement:
    """Find the images that `winner` gets right and `loser` wrong.

    Those come first on which the seeds agree most; among equals, a category's second image comes
    after the first of every category, so that many categories are shown.

    Args:
        winner: the name of one head.
        loser: of the other.
        winners: int [S, N], the predictions of the first one's seeds.
        losers: int [T, N], of the second one's.
        labels: int [N].
        most: images to choose at most.
    """
    seeds = len(winners), len(losers)
    right = (winners == labels).sum(axis=0)
    missed = (losers != labels).sum(axis=0)
    # Majorities on both sides; agreement is the sum of the two shares of seeds, in whole numbers.
    candidates = np.flatnonzero((2 * right > seeds[0]) & (2 * missed > seeds[1]))
    agreement = right * seeds[1] + missed * seeds[0]
    seen: Counter[tuple[int, int]] = Counter()
    order = []
    for position in candidates.tolist():  # in the order of the test split
        key = int(agreement[position]), int(labels[position])
        order.append((-key[0], seen[key], position))
        seen[key] += 1
    shown = []
    for _, _, position in sorted(order)[:most]:
        label = int(labels[position])
        counts = np.bincount(losers[:, position][losers[:, position] != label])
        answer = int(counts.argmax())  # the lowest of equals
        shown.append(Example(position, label, int(right[position]), answer, int(counts[answer])))
    unanimous = int(((right == seeds[0]) & (missed == seeds[1])).sum())
    return Disagreement(winner, loser, seeds, unanimous, tuple(shown))


def confusions(
    matrices: Mapping[str, Ints],
    answers: Iterable[Ints],
    labels: Ints,
    most: int = CONFUSIONS,
    examples: int = EXAMPLES,
) -> tuple[Confusion, ...]:
    """Find the most frequent confusions over all heads and seeds; the lower labels of equals.

    Args:
        matrices: int [C, C] by head: confusion matrix, summed over its seeds.
        answers: int [S, N] of each head.
        labels: int [N].
        most: pairs of categories at most.
        examples: images of each at most.
    """
    total = np.sum(list(matrices.values()), axis=0)
    np.fill_diagonal(total, 0)
    flat = total.ravel()
    worst = [int(cell) for cell in np.argsort(-flat, kind="stable")[:most] if flat[cell]]
    every = np.concatenate(list(answers))
    found = []
    for cell in worst:
        label, answer = divmod(cell, len(total))
        images = np.flatnonzero(labels == label)
        times = (every[:, images] == answer).sum(axis=0)
        order = np.argsort(-times, kind="stable")[:examples]
        shares = {
            head: float(matrix[label, answer] / matrix[label].sum())
            for head, matrix in matrices.items()
        }
        positions = tuple(int(images[place]) for place in order if times[place])
        found.append(Confusion(label, answer, shares, positions))
    return tuple(found)
