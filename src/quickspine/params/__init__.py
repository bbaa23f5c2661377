"""`params.yaml` as typed, validated, frozen objects."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from quickspine.errors import InputError
from quickspine.files import digest
from quickspine.params.data import DRAWN, Data
from quickspine.params.errors import explained
from quickspine.params.networks import (
    Augment,
    Backbone,
    Finetune,
    Head,
    HeadConfig,
    OptimizerConfig,
    Train,
)
from quickspine.params.paths import resolve_path
from quickspine.params.section import MOST_SUB_LAYERS, Section, Seed, twins
from quickspine.params.tracking import Tracking
from quickspine.yaml_file import flatten, read

__all__ = [
    "DRAWN",
    "MOST_SUB_LAYERS",
    "SPLITS",
    "Augment",
    "Backbone",
    "Data",
    "Evaluate",
    "Finetune",
    "Head",
    "HeadConfig",
    "OptimizerConfig",
    "Params",
    "Records",
    "Split",
    "Tracking",
    "Train",
    "load",
    "resolve_path",
]


SPLITS = ("train", "validation", "test")  # the fields of Split, in the order used everywhere


class Split(Section):
    """Shares of the drawings in each split."""

    train: Annotated[float, Field(gt=0, lt=1)]
    validation: Annotated[float, Field(gt=0, lt=1)]
    test: Annotated[float, Field(gt=0, lt=1)]

    @model_validator(mode="after")
    def _sum(self) -> Self:
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-9:
            raise ValueError(f"train, validation and test sum to {total:.6g}; make it 1")
        return self


class Records(Section):
    """How the TFRecord shards are written."""

    shard_mebibytes: Annotated[float, Field(gt=0, le=4096)]
    seed: Seed


class Evaluate(Section):
    """What is measured on the test split."""

    top_k: Annotated[int, Field(ge=1, le=1000)]
    bootstrap_samples: Annotated[int, Field(ge=100, le=1_000_000)]
    confidence: Annotated[float, Field(ge=0.5, lt=1)]
    latency_repeats: Annotated[int, Field(ge=1, le=100_000)]
    seed: Seed


class Params(Section):
    """The whole of params.yaml."""

    data: Data
    split: Split
    records: Records
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1, max_length=1000)]
    heads: Annotated[tuple[Head, ...], Field(min_length=1)]
    train: Train
    finetune: Finetune
    evaluate: Evaluate
    tracking: Tracking

    @field_validator("seeds", "heads")
    @classmethod
    def _once(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        if problem := twins(values):
            raise ValueError(problem)
        return values

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not (self.train.enabled or self.finetune.enabled):
            raise ValueError("train.enabled and finetune.enabled are both false; make one true")
        return self

    def flat(self) -> dict[str, Any]:
        """Dotted key to value, for MLflow."""
        return {
            ".".join(key): value for key, value in flatten(self.model_dump(mode="json")).items()
        }

    def digest(self, *sections: str) -> str:
        """Hex sha256 of the named sections (of all, without names)."""
        values = self.model_dump(mode="json")
        return digest({name: values[name] for name in sections or values})


def load(path: str | Path = "params.yaml") -> Params:
    """Read and check the params.

    Args:
        path: a YAML 1.2 file, read as DVC reads it (so `1e-3` is a number, `no` a word).

    Returns:
        The frozen params.

    Raises:
        InputError: one error that lists everything wrong, a line each, by dotted key.
    """
    path = Path(path)
    values = read(path)
    try:
        return Params.model_validate(_tuples(values))
    except ValidationError as error:
        lines = explained(error.errors(include_url=False), Params)
    raise InputError("\n".join([f"{path}: {lines[0]}", *(f"  {line}" for line in lines[1:])]))


def _tuples(value: Any) -> Any:
    """Lists as tuples, which strict validation wants."""
    if isinstance(value, dict):
        return {key: _tuples(inner) for key, inner in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
