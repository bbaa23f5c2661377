"""A hand that draws: its dice, and the strokes that no two people make alike."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.random.bit_generator import ISeedSequence
from numpy.typing import DTypeLike, NDArray

from quickspine.sources.doodles.strokes import Point, Stroke, arc, line, ramp

_T = TypeVar("_T")
_AT_ONCE = 64  # numbers drawn together: one by one, numpy's generators cost a microsecond each


class _Hashed(ISeedSequence):
    """A seed sequence that is a hash: five times quicker to make than numpy's own."""

    def __init__(self, name: str) -> None:
        self.name = name.encode()

    def generate_state(self, n_words: int, dtype: DTypeLike = np.uint32) -> NDArray[Any]:
        size = n_words * np.dtype(dtype).itemsize
        return np.frombuffer(hashlib.blake2b(self.name, digest_size=size).digest(), dtype=dtype)


def generator(seed: int, category: str, index: int) -> np.random.Generator:
    """The randomness of one drawing: a stream of its own, whatever else is drawn."""
    hashed = _Hashed(f"{seed}/{category}/{index}")
    # numpy's documentation allows any ISeedSequence here; its type stub forgets it.
    return np.random.Generator(np.random.PCG64(hashed))  # type: ignore[arg-type]


class Hand:
    """Draws one drawing: random choices, and the strokes that depend on them.

    Args:
        rng: where all of its randomness comes from.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self._uniform = _stream(rng.random)
        self._normal = _stream(rng.standard_normal)
        # Most people take some care, a few hardly any: a factor around 1 for all that wobbles.
        self.sloppiness = min(2.2, math.exp(0.45 * next(self._normal)))

    def between(self, low: float, high: float) -> float:
        """A number from low to high, each as likely."""
        return low + (high - low) * next(self._uniform)

    def near(self, centre: float, spread: float) -> float:
        """A number around `centre`, with the standard deviation `spread`, at most 2.5 of them."""
        return centre + spread * min(2.5, max(-2.5, next(self._normal)))

    def chance(self, probability: float) -> bool:
        """True with that probability."""
        return next(self._uniform) < probability

    def count(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + int((high - low + 1) * next(self._uniform))

    def pick(self, *options: tuple[float, _T]) -> _T:
        """One of the options, given as (weight, option)."""
        at = next(self._uniform) * sum(weight for weight, _ in options)
        for weight, option in options:
            at -= weight
            if at < 0:
                return option
        return options[-1][1]

    def loop(self, centre: Point, across: float, down: float) -> Stroke:
        """A closed oval as people close them: begun somewhere, not quite meeting its begin."""
        start = self.near(-90, 50)
        sweep = self.near(360, 10 * self.sloppiness) * (1 if self.chance(0.3) else -1)
        stroke = arc(centre, across, down, start, sweep)
        drift = ramp(len(stroke))[:, None] * self.near(0, 0.05 * self.sloppiness)
        return stroke + (stroke - centre) * drift

    def closed(self, *corners: Point) -> list[Stroke]:
        """A polygon: in one go, or side by side."""
        ring = [*corners, corners[0]]
        if self.chance(0.65):
            return [line(*ring)]
        return [line(begin, end) for begin, end in pairwise(ring)]

    def box(self, left: float, top: float, right: float, bottom: float) -> list[Stroke]:
        """An upright rectangle, `closed`."""
        return self.closed((left, top), (right, top), (right, bottom), (left, bottom))


def _stream(draw: Callable[[int], NDArray[np.float64]]) -> Iterator[float]:
    while True:
        yield from draw(_AT_ONCE).tolist()
