"""What a manifest says of its images, handed on from stage to stage; checked without TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from quickspine.params import SPLITS

MAX_SIDE = 4096  # pixels
MAX_TEXT = 1000  # characters of a licence
FACTS = ("source", "synthetic", "licence", "attribution", "shape", "encoding")
RAW, PICTURES = "raw", "pictures"  # encodings: pixels, or files as they came


def facts_of(manifest: dict[str, Any]) -> dict[str, Any]:
    """What is handed on. Raises KeyError or ValueError where it is not there, or no such thing."""
    facts = {name: manifest[name] for name in FACTS}
    shape_of(manifest)
    if type(facts["synthetic"]) is not bool:
        raise ValueError(f"synthetic: {facts['synthetic']!r:.80}")
    if facts["encoding"] not in (RAW, PICTURES):
        raise ValueError(f"encoding: {facts['encoding']!r:.80}")
    for name in ("source", "licence", "attribution"):
        text = facts[name]
        # Printable: they stand in reports, and in files that are UTF-8.
        if type(text) is not str or not 0 < len(text) <= MAX_TEXT or not text.isprintable():
            raise ValueError(f"{name}: {text!r:.80}")
    return facts


def shape_of(manifest: dict[str, Any]) -> tuple[int, int, int]:
    """Height, width and channels. Raises KeyError or ValueError where they are not there."""
    shape = manifest["shape"]
    whole = isinstance(shape, list) and all(type(side) is int for side in shape)
    if not whole or len(shape) != 3:
        raise ValueError(f"shape: {shape!r:.80}")
    height, width, channels = shape
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE and channels in (1, 3)):
        raise ValueError(f"shape: {shape!r:.80}")
    return height, width, channels


def file_name(value: Any) -> str:
    """The name of a file in the folder, whatever way a manifest gives."""
    if type(value) is not str or not value.isprintable() or len(Path(value).name.encode()) > 255:
        raise ValueError(f"file: {value!r:.80}")
    return Path(value).name


def given_of(entry: dict[str, Any]) -> tuple[int, ...] | None:
    """Images of a category in each split that the source has; None where it has none.

    Raises:
        ValueError: if they are no counts, or do not sum to the rows.
    """
    splits = entry.get("splits")
    if splits is None:
        return None
    counts = tuple(splits.get(name, 0) for name in SPLITS)
    if set(splits) - set(SPLITS) or any(type(count) is not int or count < 0 for count in counts):
        raise ValueError(f"splits: {splits!r:.80}")
    if sum(counts) != entry["rows"]:
        raise ValueError(f"splits: {splits!r:.80} of {entry['rows']!r:.80} rows")
    return counts
