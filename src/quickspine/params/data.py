"""The section `data`: which images, and where they come from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_serializer, field_validator

from quickspine import categories as known
from quickspine.params.errors import MAX_SHOWN, shown
from quickspine.params.section import Count, Section, Seed, listed, twins

Source = Literal["doodles", "quickdraw", "strokes", "tfds", "folder", "idx", "mnist5k"]
DATASET = re.compile(r"[A-Za-z0-9_\-]+(/[A-Za-z0-9_.\-]+)?")  # of idx: emnist-letters
DRAWN = ("doodles", "quickdraw", "strokes")  # their categories are Quick, Draw!'s, by name
EVERY = 1_000_000_000  # drawings of a category: more than any source has


class Data(Section):
    """Which drawings, and where they come from."""

    model_config = ConfigDict(validate_default=True)  # what a source needs may not be left out

    source: Source
    dataset: Annotated[str, Field(max_length=200)] | None = None
    folder: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    strokes: Literal["simplified", "raw"] = "simplified"
    # Empty where the file has null: all that the source has.
    categories: Annotated[tuple[str, ...], Field(min_length=2, max_length=100_000)]
    category_names: Annotated[tuple[str, ...], Field(min_length=2, max_length=1000)] | None = None
    title: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    drawings_per_category: Count | None
    test_per_category: Count | None = None
    allow_fewer: bool = False
    image_size: Annotated[int, Field(ge=8, le=2048)] | None = None
    mirror: Annotated[str, Field(min_length=1, max_length=4096)]
    seed: Seed

    @property
    def name(self) -> str:
        """The title; without one the source, and what of it: `tfds emnist-letters`."""
        if self.title is not None:
            return self.title
        what = (self.dataset or "").replace("/", "-")
        if self.source == "folder" or (self.source == "idx" and not what):
            what = Path(self.folder or "").name
        return f"{self.source} {what}".rstrip() if self.source not in DRAWN else self.source

    @property
    def limit(self) -> int:
        """Drawings of each category at most; of each split but test where the source has splits."""
        return self.drawings_per_category or EVERY

    @field_validator("dataset", "folder")
    @classmethod
    def _needed(cls, value: str | None, info: Any) -> str | None:
        source, needed = info.data.get("source"), NEEDED[str(info.field_name)]
        if value is None and source in needed:
            raise ValueError(f"needed by data.source: {source}; {needed[source]}")
        return value

    @field_validator("dataset")
    @classmethod
    def _plain(cls, value: str | None) -> str | None:
        if value is not None and not DATASET.fullmatch(value):
            near = DATASET.match(value.strip())
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(f"a name or name/config is needed, without a version{hint}")
        return value

    @field_validator("title")
    @classmethod
    def _printable(cls, title: str | None) -> str | None:
        if title is not None and not title.isprintable():
            raise ValueError("a title has printable characters only")
        return title

    @field_validator("category_names", mode="before")
    @classmethod
    def _in_label_order(cls, names: Any, info: Any) -> Any:
        if names is None:
            return None
        if (source := info.data.get("source")) not in (None, "idx"):
            raise ValueError(f"for data.source: idx; {source} names its categories: make it null")
        if isinstance(names, list | tuple) and all(isinstance(name, str) for name in names):
            if wrong := [text for text in (twins(tuple(names)), _unprintable(names)) if text]:
                raise ValueError("; ".join(wrong))
            return tuple(names)
        return names

    @field_validator("categories", mode="wrap")
    @classmethod
    def _named(cls, names: Any, check: Any, info: Any) -> tuple[str, ...]:
        source = info.data.get("source")
        if names is None:
            return known.DOODLES if source == "doodles" else _everything(source)
        # JSON's arrays come as lists, once something stands before the check.
        found: tuple[str, ...] = check(tuple(names) if isinstance(names, list) else names)
        wrong = [twins(found)]
        if source in DRAWN or source is None:
            wrong += _undrawable(found, source)
        else:
            wrong.append(_unprintable(found))
        if any(wrong):
            raise ValueError("; ".join(filter(None, wrong)))
        return found

    @field_serializer("categories")
    def _all(self, names: tuple[str, ...]) -> tuple[str, ...] | None:
        return names or None  # as it stands in the file

    @field_validator("drawings_per_category")
    @classmethod
    def _finite(cls, count: int | None, info: Any) -> int | None:
        source = info.data.get("source")
        if count is None and source in DRAWN:
            raise ValueError(
                f"data.source: {source} needs a number; null: all is for other sources"
            )
        return count

    @field_validator("image_size")
    @classmethod
    def _resized(cls, size: int | None, info: Any) -> int | None:
        source = info.data.get("source")
        if size is not None and source in FIXED and size != FIXED[source]:
            raise ValueError(f"images of {source} have {FIXED[source]} pixels a side; make it null")
        return size


NEEDED = {
    "dataset": {"tfds": "a builder of tensorflow-datasets, such as mnist or emnist/letters"},
    "folder": {
        "folder": "the folder that holds one folder of images a category",
        "idx": "the folder that holds the files, such as train-images-idx3-ubyte.gz",
    },
}
FIXED = {"doodles": 28, "quickdraw": 28, "mnist5k": 28}  # pixels a side


def _unprintable(names: Sequence[str]) -> str:
    odd = [name for name in names if not name.isprintable() or not 0 < len(name) <= 200]
    return f"{listed(odd)}: no name of a category; 1 to 200 printable characters" if odd else ""


def _everything(source: str | None) -> tuple[str, ...]:
    return known.quickdraw() if source in DRAWN else ()


def _undrawable(names: tuple[str, ...], source: str | None) -> list[str]:
    """What is wrong with names that should be Quick, Draw!'s, or those of the doodles."""
    strangers = [name for name in names if name not in known.quickdraw()]
    wrong = [_stranger(name) for name in strangers[:MAX_SHOWN]]
    if len(strangers) > MAX_SHOWN:
        wrong.append(f"and {len(strangers) - MAX_SHOWN} more that are none")
    if source == "doodles":
        others = set(names) - set(strangers) - set(known.DOODLES)
        if others:
            wrong.append(
                f"not among the doodles: {listed(sorted(others))}; set data.source: "
                f"quickdraw, or use {', '.join(known.DOODLES)}"
            )
    return wrong


def _stranger(name: str) -> str:
    return f"{shown(name)}: {known.unknown(name, known.quickdraw())}"
