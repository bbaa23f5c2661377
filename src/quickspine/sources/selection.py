"""Select categories of a source, and how many images of each are taken."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from quickspine import categories as known
from quickspine.errors import InputError
from quickspine.params import Data
from quickspine.params.data import EVERY
from quickspine.params.errors import MAX_SHOWN, shown

SPLITS = ("train", "validation", "test")  # in this order in a category's file
Counts = Mapping[str, Mapping[str, int]]  # category to split to images; "": a source without splits


def select_categories(data: Data, offered: Sequence[str], source: str) -> tuple[str, ...]:
    """Return `data.categories`, or all `offered` where that is empty.

    Args:
        data: the params.
        offered: the names that the source has, in its own order.
        source: its name, for messages.

    Raises:
        InputError: names each category that is not offered and the closest ones; or says that
            fewer than two are left.
    """
    names = tuple(offered)
    wrong = [
        f"{shown(name)}: {problem}"
        for name in data.categories
        if (problem := known.unknown(name, names))
    ]
    if wrong:
        lines = [*shorten(wrong), f"it has {list_names(names)}"]
        raise InputError("\n  ".join([f"data.categories: not all are in {source}", *lines]))
    selected = data.categories or names
    if len(selected) < 2:
        only = f"only the category {shown(selected[0])}" if selected else "no category"
        raise InputError(f"{source}: {only}; at least two categories are needed")
    return selected


def max_images(data: Data, split: str) -> int:
    """Return how many images of a category are taken from a split of the source at most."""
    return (data.test_per_category or EVERY) if split == "test" else data.limit


def check_counts(data: Data, counts: Counts, source: str, may_be_missing: bool = False) -> None:
    """Refuse categories without images, or with fewer than the params ask for.

    Args:
        data: the params.
        counts: the images that are there, or that were taken.
        source: its name, for messages.
        may_be_missing: warn of a category without images in a split, instead of refusing it.

    Raises:
        InputError: names the categories, what they have, and what would do.
    """
    every = [(name, split, n) for name, of in counts.items() for split, n in of.items()]
    empty = [_label(name, split) for name, split, n in every if n == 0]
    if empty and not may_be_missing:
        raise InputError(
            f"{source}: no images of {', '.join(shorten(empty))}; add some, or leave the category "
            "out of data.categories"
        )
    for key, asked in (
        ("drawings_per_category", data.drawings_per_category),
        ("test_per_category", data.test_per_category),
    ):
        asked_of = [each for each in every if (each[1] == "test") == (key == "test_per_category")]
        few = [(name, split, n) for name, split, n in asked_of if asked is not None and n < asked]
        if few and not data.allow_fewer:
            least = min(n for _, _, n in few)
            lower = f", or lower it to {least:,}" if least else ""
            first = (
                f"data.{key}: {asked:,} asked for, fewer are in {source}; "
                f"set data.allow_fewer: true{lower}"
            )
            lines = [f"{_label(name, split)}: {n:,}" for name, split, n in few]
            raise InputError("\n  ".join([first, *shorten(lines)]))
    if empty:
        print(f"fetch: warning: no images of {', '.join(shorten(empty))}", file=sys.stderr)


def shorten(lines: Sequence[str]) -> list[str]:
    """Return the first `MAX_SHOWN` lines, and how many more there are."""
    more = len(lines) - MAX_SHOWN
    return [*lines[:MAX_SHOWN], *([f"and {more} more"] if more > 0 else [])]


def list_names(names: Sequence[str]) -> str:
    """Return the first names in quotes, and how many more there are."""
    return ", ".join(shorten([shown(name) for name in names]))


def _label(name: str, split: str) -> str:
    return f"{shown(name)} in {split}" if split else shown(name)
