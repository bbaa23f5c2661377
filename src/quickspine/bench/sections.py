"""The sections of the bench: what each measures, and how much of it.

A section is a module of this room, named in `SECTIONS`, with what `Section` asks for. A new one is
a new file and its name here; what it needs to know about how much to measure is a field of `Size`.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

from quickspine.params import Params

# In the order in which they run; a section may read what those before it found.
SECTIONS = ("stages", "inputs", "training", "limits", "quality", "sweep", "scale", "whole")

Found = dict[str, Any]  # as it goes into bench/results.json


@dataclass(frozen=True)
class Size:
    """How much is measured: a full bench, about half an hour on two cores."""

    rounds: int = 5
    drawings: int = 500  # of each category, through the stages
    passes: int = 10  # over the training split, when reading: as many epochs
    read_drawings: int = 4_000  # of each category; fewer, and the start of each pass is the most
    batch: int = 128  # drawings a step, of the training that peers do too
    width: float = 1.0  # of it, times the paper's channels
    steps: int = 12  # of it, a round
    mebibytes: int = 256  # of each array that measures the memory
    seeds: int = 3  # trainings in each precision
    train_drawings: int = 400  # of each category; those too that training waits for
    trained: tuple[tuple[float, int], ...] = ((0.25, 5), (1.0, 3))  # width and epochs of each
    batches: tuple[int, ...] = (16, 32, 64, 128, 256, 512)
    widths: tuple[float, ...] = (0.125, 0.25, 0.5, 1.0)
    point_drawings: int = 384  # a measured epoch of a point of the sweep at width 1; more below
    point_rounds: int = 3  # and epochs in which waiting is measured
    scale: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000, 5_000_000)  # drawings
    whole: int | None = None  # drawings of each category and one seed; None: params.yaml as it is


QUICK = Size(
    rounds=1,
    drawings=100,
    passes=3,
    read_drawings=1_000,
    steps=4,
    mebibytes=64,
    seeds=1,
    train_drawings=100,
    trained=((0.25, 1),),
    batches=(32, 128),
    widths=(0.25, 0.5),
    point_drawings=128,
    point_rounds=1,
    scale=(1_000, 5_000),
    whole=60,
)


@dataclass(frozen=True)
class Bench:
    """What a section is given.

    Attributes:
        params: the whole of params.yaml.
        place: its path, for programs that read it again.
        folder: for data to throw away, the section's own.
        size: how much to measure.
        found: what the sections before it found, by name.
    """

    params: Params
    place: Path
    folder: Path
    size: Size
    found: dict[str, Found] = field(default_factory=dict)


class Section(Protocol):
    """A module of the bench."""

    TITLE: str

    def measure(self, bench: Bench) -> Found:
        """Measure; returns what goes into bench/results.json."""

    def markdown(self, found: Found) -> str:
        """What was found, as Markdown without a heading."""


def section(name: str) -> Section:
    """The section of that name; without TensorFlow."""
    return cast("Section", importlib.import_module(f"quickspine.bench.{name}"))
