"""Which test drawings the report shows: where two heads part, and what is taken for what.

A pure function of answers and labels: the same runs, the same drawings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quickspine.evaluation.metrics import Ints, ModelRun, confusion

APART = 8  # drawings shown for each head that is right where the other is wrong
CONFUSIONS = 6  # pairs of categories shown
EXAMPLES = 6  # drawings of each

Bitmaps = Mapping[int, npt.NDArray[np.uint8]]  # by position in the test split


@dataclass(frozen=True)
class Apart:
    """A drawing that most seeds of one head get right, and most of another wrong."""

    position: int  # in the test split
    label: int
    right: int  # seeds of the one head that are right
    answer: int  # the most frequent wrong answer of the other head
    wrong: int  # seeds of the other head that give it


@dataclass(frozen=True)
class Parted:
    """The drawings on which `winner` is right and `loser` is wrong."""

    winner: str
    loser: str
    seeds: tuple[int, int]  # of each of the two
    unanimous: int  # drawings that all seeds of one get right and all of the other wrong
    shown: tuple[Apart, ...]


@dataclass(frozen=True)
class Confused:
    """Drawings of `label` that were taken for `answer`."""

    label: int
    answer: int
    shares: Mapping[str, float]  # of each head's answers to drawings of `label`, 0…1
    positions: tuple[int, ...]  # in the test split, those that most seeds confuse first


@dataclass(frozen=True)
class Examples:
    """What is shown of one stage."""

    apart: tuple[Parted, ...]  # both ways; none where a stage has one head
    confused: tuple[Confused, ...]  # the most frequent first

    @property
    def positions(self) -> set[int]:
        """Of all drawings that are shown."""
        apart = {each.position for parted in self.apart for each in parted.shown}
        return apart.union(*(each.positions for each in self.confused))


def pick(
    runs: Sequence[ModelRun], labels: Ints, pairs: Mapping[str, tuple[str, str] | None]
) -> dict[str, Examples]:
    """Choose the drawings to show of each stage.

    Args:
        runs: as given to `comparison.summarise`.
        labels: int [N], the true labels.
        pairs: by stage the two heads to hold against each other; see `pairing.main_pair`.
    """
    found = {}
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
        apart = tuple(
            parted(one, other, answers[one], answers[other], labels) for one, other in both
        )
        matrices = {
            head: sum((confusion(run.logits, labels) for run in group[1:]),
                      confusion(group[0].logits, labels))
            for head, group in groups.items()
        }  # fmt: skip
        found[stage] = Examples(apart, confusions(matrices, list(answers.values()), labels))
    return found


def parted(
    winner: str, loser: str, winners: Ints, losers: Ints, labels: Ints, most: int = APART
) -> Parted:
    """The drawings that `winner` gets right and `loser` wrong.

    Those come first on which the seeds agree most; of equal ones a category's second comes after
    the first of every category, so that many categories are seen.

    Args:
        winner: the name of one head.
        loser: of the other.
        winners: int [S, N], the answers of the first one's seeds.
        losers: int [T, N], of the second one's.
        labels: int [N].
        most: drawings to choose at most.
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
        wrong = losers[losers[:, position] != labels[position], position]
        answer, times = _most_frequent(wrong)
        shown.append(Apart(position, int(labels[position]), int(right[position]), answer, times))
    unanimous = int(((right == seeds[0]) & (missed == seeds[1])).sum())
    return Parted(winner, loser, seeds, unanimous, tuple(shown))


def _most_frequent(answers: Ints) -> tuple[int, int]:
    """The most frequent answer and how often it is there; of equals the lowest."""
    values, counts = np.unique(answers, return_counts=True)
    first = int(counts.argmax())
    return int(values[first]), int(counts[first])


def confusions(
    matrices: Mapping[str, Ints],
    answers: Iterable[Ints],
    labels: Ints,
    most: int = CONFUSIONS,
    examples: int = EXAMPLES,
) -> tuple[Confused, ...]:
    """What is taken for what most often, over all heads and seeds; of equals the lower labels.

    Args:
        matrices: int [C, C] by head: drawings by true label and answer, summed over its seeds.
        answers: int [S, N] of each head.
        labels: int [N].
        most: pairs of categories at most.
        examples: drawings of each at most.
    """
    total = np.sum(list(matrices.values()), axis=0)
    np.fill_diagonal(total, 0)
    flat = total.ravel()
    worst = [int(cell) for cell in np.argsort(-flat, kind="stable")[:most] if flat[cell]]
    every = np.concatenate(list(answers))
    found = []
    for cell in worst:
        label, answer = divmod(cell, len(total))
        drawings = np.flatnonzero(labels == label)
        times = (every[:, drawings] == answer).sum(axis=0)
        order = np.argsort(-times, kind="stable")[:examples]
        shares = {
            head: float(matrix[label, answer] / matrix[label].sum())
            for head, matrix in matrices.items()
        }
        positions = tuple(int(drawings[place]) for place in order if times[place])
        found.append(Confused(label, answer, shares, positions))
    return tuple(found)


def collect(
    batches: Iterable[npt.NDArray[np.uint8]], positions: Iterable[int]
) -> dict[int, npt.NDArray[np.uint8]]:
    """The bitmaps at some positions, in one pass that keeps nothing else and ends at the last.

    Args:
        batches: uint8 [n, H, W, C] each, in the order of the labels.
        positions: in that order, from 0.

    Raises:
        ValueError: if there are fewer drawings than that.
    """
    wanted, start = sorted(set(positions)), 0
    found: dict[int, npt.NDArray[np.uint8]] = {}
    if not wanted:
        return {}
    for images in batches:
        for position in wanted[len(found) :]:
            if position >= start + len(images):
                break
            found[position] = images[position - start].copy()
        if len(found) == len(wanted):
            return found
        start += len(images)
    raise ValueError(f"position {wanted[len(found)]} must be below {start}, the drawings there are")


def positions(examples: Mapping[str, Examples]) -> set[int]:
    """Of all drawings that are shown, of all stages."""
    return set[int]().union(*(each.positions for each in examples.values()))
