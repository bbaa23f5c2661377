"""Names of categories: Quick, Draw!'s 345, and the 24 that quickspine draws itself."""

from __future__ import annotations

import difflib
import functools
import importlib.util
from pathlib import Path

DOODLES = (
    "apple", "bicycle", "cat", "diamond", "envelope", "fish", "guitar", "house",
    "ice cream", "jail", "key", "ladder", "moon", "nail", "octagon", "pencil",
    "rainbow", "star", "tree", "umbrella", "vase", "wine glass", "yoga", "zigzag",
)  # fmt: skip


def tfds_file(relative: str) -> Path:
    """Find a file inside the tensorflow-datasets wheel without importing it (seconds)."""
    spec = importlib.util.find_spec("tensorflow_datasets")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("tensorflow-datasets is not installed; run: make setup")
    return Path(spec.submodule_search_locations[0]) / relative


@functools.cache
def quickdraw() -> tuple[str, ...]:
    """Return the 345 category names, in the order of tensorflow-datasets' label file."""
    text = tfds_file("datasets/quickdraw_bitmap/labels.txt").read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if line)


def unknown(name: str, known: tuple[str, ...]) -> str | None:
    """Say that `name` is unknown, and name the closest known ones; None where it is known."""
    if name in known:
        return None
    folded = {other.casefold(): other for other in known}
    close = difflib.get_close_matches(name.casefold(), folded, n=3, cutoff=0.6)
    hint = f"; did you mean {', '.join(repr(folded[c]) for c in close)}?" if close else ""
    return f"no such category{hint}"
