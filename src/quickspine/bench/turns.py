"""Contestants in turn: machines drift, so each round meets all of them, in another order."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any


class CannotRunError(Exception):
    """A contestant cannot take part on this machine; the message says why, in a line."""


@dataclass(frozen=True)
class Contestant:
    """Somebody whose speed is measured.

    Attributes:
        name: in tables and results.
        run: measures once; returns what was done a second. Raises `CannotRunError`.
    """

    name: str
    run: Callable[[], float]


@dataclass(frozen=True)
class Turns:
    """What came of the rounds.

    Attributes:
        rates: contestant to its rates, a number a round, in the order of the rounds.
        skipped: contestant to why it could not take part.
    """

    rates: dict[str, list[float]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def told(self) -> dict[str, Any]:
        """As JSON: `rates` as told by `summary`, and `skipped`."""
        rates = {name: summary(rounds) for name, rounds in self.rates.items()}
        return {"rates": rates, "skipped": self.skipped}


def in_turn(contestants: Sequence[Contestant], rounds: int, title: str) -> Turns:
    """Measure everybody once a round; each round begins with the next one.

    Whoever cannot run is left out from then on, with all of its rounds: half a series is none.

    Args:
        contestants: in the order of the first round.
        rounds: how many.
        title: of the section, for the progress on stderr.
    """
    found = Turns({contestant.name: [] for contestant in contestants})
    for number in range(rounds):
        first = number % max(1, len(contestants))
        for contestant in [*contestants[first:], *contestants[:first]]:
            if contestant.name in found.skipped:
                continue
            tell(f"{title}: round {number + 1} of {rounds}, {contestant.name}")
            try:
                found.rates[contestant.name].append(contestant.run())
            except CannotRunError as error:
                tell(f"{title}: {contestant.name} is skipped: {error}")
                found.skipped[contestant.name] = str(error)
                del found.rates[contestant.name]
    return found


def summary(rounds: Sequence[float]) -> dict[str, Any]:
    """The median of the rounds, the slowest and the fastest, and all of them."""
    return {
        "median": median(rounds),
        "slowest": min(rounds),
        "fastest": max(rounds),
        "rounds": list(rounds),
    }


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """How many times as fast: the ratio of medians, the least and the greatest within a round."""
    each = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    return {"ratio": median(ours) / median(theirs), "slowest": min(each), "fastest": max(each)}


def tell(words: str) -> None:
    """A line of progress."""
    print(f"bench: {words}", file=sys.stderr, flush=True)
