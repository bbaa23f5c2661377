"""What a records folder must hold, down to the bytes; checked without TensorFlow.

Digests tell damage from what was written. Where manifest, shards and digests were all edited to
agree, what they say must still make sense: a wrong label would train a wrong model, or end a
training an hour later in a traceback.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from quickspine.checked import Facts
from quickspine.dataset import SPLITS
from quickspine.dataset.example import around
from quickspine.dataset.raw import MAX_SIDE, MAX_TEXT

HEAD = struct.Struct("<QI")  # before a record: its length and a checksum of that
TAIL = 4  # bytes behind it: a checksum of the record, which TensorFlow compares at reading
ROWS = 65_536  # records compared at once: a few MB

Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, le=2**53)]
Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
Side = Annotated[int, Field(ge=1, le=MAX_SIDE)]


class Shard(Facts):
    """One file of drawings."""

    file: str
    bytes: Count
    sha256: Digest
    examples: Count


class Split(Facts):
    """The shards of a split, in the order of their numbers."""

    examples: Annotated[int, Field(ge=1, le=2**53)]
    shards: Annotated[list[Shard], Field(min_length=1, max_length=1_000_000)]

    @model_validator(mode="after")
    def _sum(self) -> Self:
        if sum(shard.examples for shard in self.shards) != self.examples:
            raise ValueError("the shards do not sum to the split's examples")
        return self


class Splits(Facts):
    """All three."""

    train: Split
    validation: Split
    test: Split

    @model_validator(mode="after")
    def _names(self) -> Self:
        for name in SPLITS:
            shards = getattr(self, name).shards
            for number, shard in enumerate(shards):
                # So a name is no path, and no shard is there twice.
                if shard.file != f"{name}-{number:05d}-of-{len(shards):05d}.tfrecord":
                    raise ValueError(f"{shard.file!r:.80} is not the name of {name}'s {number}")
        return self


class Manifest(Facts):
    """`manifest.json` of a records folder: what the stages after it read."""

    source: Text
    synthetic: bool
    licence: Text
    attribution: Text
    categories: Annotated[list[str], Field(min_length=2, max_length=100_000)]
    shape: tuple[Side, Side, Literal[1, 3]]
    splits: Splits
    digest: Digest

    @field_validator("shape", mode="before")
    @classmethod
    def _from_list(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("source", "licence", "attribution")
    @classmethod
    def _printable(cls, text: str) -> str:
        if not text.isprintable():
            raise ValueError("control characters are no part of it")
        return text

    @field_validator("categories")
    @classmethod
    def _named(cls, names: list[str]) -> list[str]:
        wrong = [name for name in names if not name.isprintable() or not 0 < len(name) <= 200]
        if wrong:
            raise ValueError(f"{wrong[0]!r:.80} is no name of a category")
        if len(set(names)) < len(names):
            raise ValueError("a category is there twice")
        return names


def check_records(path: Path, examples: int, pixels: int, categories: int) -> None:
    """Compare every byte of a shard but pixels and checksums with what the writer would write.

    Raises:
        ValueError: if its records do not fit into each other, are not so many, are no drawings of
            so many pixels, or have labels of other categories.
    """
    size = path.stat().st_size
    # A file of no bytes cannot be mapped.
    view = np.memmap(path, np.uint8, "r") if size else np.empty(0, np.uint8)
    starts = _starts(view)
    if len(starts) != examples:
        raise ValueError(f"it holds {len(starts)} records")
    lengths = np.diff(starts, append=size) - HEAD.size - TAIL
    layouts = _layouts(pixels, categories)
    strange = set(np.unique(lengths).tolist()) - set(layouts)
    if strange:
        raise ValueError(f"a record of {min(strange)} bytes is no drawing of {pixels} pixels")
    for length, digits in layouts.items():
        own = starts[lengths == length] + HEAD.size
        for first in range(0, len(own), ROWS):
            _compare(view, own[first : first + ROWS], digits, pixels, categories)


def _starts(content: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Where each record begins."""
    starts, position, size = [], 0, len(content)
    data, unpack = content.data, HEAD.unpack_from
    while position < size:
        starts.append(position)
        if position + HEAD.size > size:
            raise ValueError("it ends inside a record")
        position += HEAD.size + unpack(data, position)[0] + TAIL
    if position > size:
        raise ValueError("it ends inside a record")
    return np.array(starts, np.int64)


def _layouts(pixels: int, categories: int) -> dict[int, int]:
    """Length of a record to the bytes that its label takes: one up to 127, two up to 16,383, …"""
    layouts: dict[int, int] = {}
    smallest = 0
    while smallest < categories:
        before, behind = around(smallest, pixels)
        digits = len(layouts) + 1
        layouts[len(before) + pixels + len(behind)] = digits
        smallest = 128**digits
    return layouts


def _compare(
    view: NDArray[np.uint8],
    starts: NDArray[np.int64],
    digits: int,
    pixels: int,
    categories: int,
) -> None:
    """Check the records at `starts`, whose labels take `digits` bytes."""
    smallest = 128 ** (digits - 1) if digits > 1 else 0
    before, behind = around(smallest, pixels)
    fixed = np.frombuffer(before + behind[:-digits], np.uint8)
    places = np.arange(len(fixed))
    places[len(before) :] += pixels
    if (view[starts[:, None] + places] != fixed).any():
        raise ValueError("a record is no drawing with a label")
    places = np.arange(len(before) + pixels + len(behind))[-digits:]
    written = view[starts[:, None] + places].astype(np.int64)
    labels = ((written & 127) << (7 * np.arange(digits))).sum(axis=1)
    more = written >= 128  # a high bit: another byte follows
    if not more[:, :-1].all() or more[:, -1].any() or (labels < smallest).any():
        raise ValueError("a label is not written as labels are")
    if (labels >= categories).any():
        raise ValueError(f"it has label {labels.max()}, and there are {categories} categories")
