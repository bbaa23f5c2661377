"""Which of a source's categories are asked for, and whether there are images enough of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from quickspine import categories as known
from quickspine.errors import InputError
from quickspine.params import Data
from quickspine.params.errors import MAX_SHOWN, shown

SPLITS = ("train", "validation", "test")  # in this order in a category's file


def choose(data: Data, offered: Sequence[str], place: str) -> tuple[str, ...]:
    """The categories asked for: `data.categories`, or all `offered` where that is empty.

    Args:
        data: the params.
        offered: the names that the source has, in its own order.
        place: the source, for messages.

    Raises:
        InputError: names each category that is not offered, and the ones closest to it; or
            says that fewer than two are offered.
    """
    names = tuple(offered)
    wrong = [
        f"{shown(name)}: {problem}"
        for name in data.categories
        if (problem := known.unknown(name, names))
    ]
    if wrong:
        some = ", ".join(map(shown, names[:MAX_SHOWN]))
        more = f" and {len(names) - MAX_SHOWN} more" if len(names) > MAX_SHOWN else ""
        lines = [*capped(wrong), f"it has {some}{more}"]
        raise InputError("\n  ".join([f"data.categories: not all are in {place}", *lines]))
    found = data.categories or names
    if len(found) < 2:
        only = f"only the category {shown(found[0])}" if found else "no category"
        raise InputError(f"{place}: {only}; at least two are needed, to be told apart")
    return found


def check_enough(data: Data, counts: Mapping[str, Mapping[str, int]], place: str) -> None:
    """Say no where a category has no images, or fewer than asked for.

    Args:
        data: the params.
        counts: category to split (an empty name where the source has no splits of its own) to
            the images that are there.
        place: the source, for messages.

    Raises:
        InputError: names the categories, what they have, and what would do.
    """
    every = [(name, split, n) for name, splits in counts.items() for split, n in splits.items()]
    empty = [_named(name, split) for name, split, n in every if n == 0]
    if empty:
        raise InputError(
            f"{place}: no images of {', '.join(capped(empty))}; add some, or leave the category "
            "out of data.categories"
        )
    if data.drawings_per_category is None or data.allow_fewer:
        return
    few = [
        f"{_named(name, split)}: {n:,}"
        for name, split, n in every
        if n < data.drawings_per_category
    ]
    if few:
        least = min(n for _, _, n in every)
        first = (
            f"data.drawings_per_category: {data.drawings_per_category:,} asked for, fewer are in "
            f"{place}; set data.allow_fewer: true, or lower it to {least:,}"
        )
        raise InputError("\n  ".join([first, *capped(few)]))


def capped(lines: Sequence[str]) -> list[str]:
    """The first `MAX_SHOWN`, and how many more there are."""
    more = len(lines) - MAX_SHOWN
    return [*lines[:MAX_SHOWN], *([f"and {more} more"] if more > 0 else [])]


def _named(name: str, split: str) -> str:
    return f"{shown(name)} in {split}" if split else shown(name)
