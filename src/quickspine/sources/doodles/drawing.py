"""The drawing numbered so and so of a category: a stroke program, a hand, a rasteriser."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from quickspine.sources.doodles import household, living, people, shapes, table, tools
from quickspine.sources.doodles.hand import Hand, generator
from quickspine.sources.doodles.strokes import Stroke
from quickspine.sources.doodles.variation import as_drawn
from quickspine.sources.rasteriser import rasterise

# What each thing consists of. The hand chooses among the ways of drawing it.
PROGRAMS: dict[str, Callable[[Hand], list[Stroke]]] = {
    "apple": living.apple,
    "bicycle": tools.bicycle,
    "cat": living.cat,
    "diamond": shapes.diamond,
    "envelope": household.envelope,
    "fish": living.fish,
    "guitar": tools.guitar,
    "house": household.house,
    "ice cream": table.ice_cream,
    "jail": household.jail,
    "key": tools.key,
    "ladder": tools.ladder,
    "moon": shapes.moon,
    "nail": tools.nail,
    "octagon": shapes.octagon,
    "pencil": tools.pencil,
    "rainbow": shapes.rainbow,
    "star": shapes.star,
    "tree": living.tree,
    "umbrella": household.umbrella,
    "vase": table.vase,
    "wine glass": table.wine_glass,
    "yoga": people.yoga,
    "zigzag": shapes.zigzag,
}


def strokes(category: str, seed: int, index: int) -> list[Stroke]:
    """The strokes of one drawing, a pure function of its arguments.

    Args:
        category: one of `quickspine.categories.DOODLES`.
        seed: another seed, other drawings.
        index: the number of the drawing, from 0.

    Returns:
        Float [points, 2] strokes in units; the longer side of their bounding box is 255.

    Raises:
        KeyError: if there is no such category.
    """
    hand = Hand(generator(seed, category, index))
    return as_drawn(PROGRAMS[category](hand), hand)


def draw(category: str, seed: int, start: int, stop: int) -> NDArray[np.uint8]:
    """The drawings `start` to `stop` (left out) of a category, uint8 [stop - start, 28, 28].

    White on black. Which drawings are asked for together changes none of them.
    """
    return rasterise([strokes(category, seed, index) for index in range(start, stop)])
