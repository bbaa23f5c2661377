"""What the manifest of a records folder must say; checked without TensorFlow.

Digests tell damage from what was written. Where manifest, shards and digests were all edited to
agree, what they say must still make sense: a wrong label would train a wrong model, or end a
training an hour later in a traceback. `layout` does the same for the bytes of the shards.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from quickspine.dataset import SPLITS
from quickspine.sources.storage.manifest import MAX_SIDE, MAX_TEXT
from quickspine.validation import Facts

Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, le=2**53)]
Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]


def _grey_or_colour(channels: int) -> int:
    if channels not in (1, 3):
        raise ValueError("1 or 3 are known")
    return channels


# A Literal would take JSON's true for 1.
Channels = Annotated[int, AfterValidator(_grey_or_colour)]
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
    shape: tuple[Side, Side, Channels]  # of every image; of pictures: what they become
    encoding: Literal["raw", "pictures"] = "raw"
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
