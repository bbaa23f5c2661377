"""`params.yaml` as typed, validated, frozen objects."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    field_serializer,
    field_validator,
    model_validator,
)

from quickspine import categories as known
from quickspine.errors import WrongInputError
from quickspine.files import digest
from quickspine.params_errors import MAX_SHOWN, explained, shown
from quickspine.yaml_file import read

MOST_UNITS, MOST_LAYERS, MOST_SUB_LAYERS = 65_536, 8, 64  # of a head
Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(gt=0, le=10)]
Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
Units = Annotated[int, Field(ge=1, le=MOST_UNITS)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Epochs = Annotated[int, Field(ge=1, le=100_000)]
Factor = Annotated[float, Field(gt=0, lt=1)]
# From the plainest on: of every pair the later one is compared with the earlier.
Head = Literal["linear", "dense", "matched", "spinal", "progressive"]
Precision = Literal["auto", "float32", "bfloat16"]
# fmt: off
Backbone = Literal[
    "cnn", "cifar_cnn", "vgg5", "vgg11", "vgg13", "vgg16", "vgg19", "resnet18", "resnet34",
    "densenet",
]
# fmt: on
Schedule = Literal["constant", "cosine", "step", "plateau", "restart"]


def _blocks(value: Any) -> Any:
    """One message where pydantic would give one for each of the two kinds."""
    if value == "all" or (type(value) is int and 0 <= value <= 1000):
        return value
    raise ValueError("input should be a whole number from 0 to 1000, or all")


class Section(BaseModel):
    """A frozen, strict part of the params: no unknown keys, no silent conversions."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


def _twins(values: tuple[Any, ...]) -> str:
    """What to say about values that are listed more than once; empty where there are none."""
    twins = [value for value, count in Counter(values).items() if count > 1]
    return f"holds {_listed(twins)} more than once; list each once" if twins else ""


def _stranger(name: str) -> str:
    return f"{shown(name)}: {known.unknown(name, known.quickdraw())}"


def _listed(values: list[Any]) -> str:
    more = f" and {len(values) - MAX_SHOWN} more" if len(values) > MAX_SHOWN else ""
    return ", ".join(map(shown, values[:MAX_SHOWN])) + more


Source = Literal["doodles", "quickdraw", "strokes", "tfds", "folder", "idx", "mnist5k"]
DATASET = r"^[A-Za-z0-9_\-]+(/[A-Za-z0-9_.\-]+)?$"  # name, or name/config; of idx: emnist-letters
DRAWN = ("doodles", "quickdraw", "strokes")  # their categories are Quick, Draw!'s, by name
EVERY = 1_000_000_000  # drawings of a category: more than any source has


def _widths(value: Any) -> int | tuple[int, ...] | None:
    """Units of one hidden layer, or of each: one check, as pydantic tells of a union's parts."""
    several = isinstance(value, tuple | list)
    widths = tuple(value) if several else () if value is None else (value,)
    whole = all(type(width) is int and 1 <= width <= MOST_UNITS for width in widths)
    if not whole or (several and not 1 <= len(widths) <= MOST_LAYERS):
        raise ValueError(
            f"should be a whole number from 1 to {MOST_UNITS}, null, or a list of 1 to "
            f"{MOST_LAYERS} such numbers, one for each hidden layer"
        )
    return widths if several else value


def _as_it_is(value: Any) -> Any:
    return value  # pydantic would warn of a list where JSON has no tuples


class Data(Section):
    """Which drawings, and where they come from."""

    model_config = ConfigDict(validate_default=True)  # what a source needs may not be left out

    source: Source
    dataset: Annotated[str, Field(pattern=DATASET)] | None = None
    folder: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    strokes: Literal["simplified", "raw"] = "simplified"
    # Empty where the file has null: all that the source has.
    categories: Annotated[tuple[str, ...], Field(min_length=2, max_length=100_000)]
    drawings_per_category: Count | None
    allow_fewer: bool = False
    image_size: Annotated[int, Field(ge=8, le=2048)] | None = None
    mirror: Annotated[str, Field(min_length=1, max_length=4096)]
    seed: Seed

    @property
    def name(self) -> str:
        """The source, and what of it: `tfds emnist-letters`, `folder flowers`."""
        what = (self.dataset or "").replace("/", "-")
        if self.source == "folder" or (self.source == "idx" and not what):
            what = Path(self.folder or "").name
        return f"{self.source} {what}".rstrip() if self.source not in DRAWN else self.source

    @property
    def limit(self) -> int:
        """Drawings of each category at most; of each of its splits where the source has some."""
        return self.drawings_per_category or EVERY

    @field_validator("dataset", "folder")
    @classmethod
    def _needed(cls, value: str | None, info: Any) -> str | None:
        source, needed = info.data.get("source"), NEEDED[str(info.field_name)]
        if value is None and source in needed:
            raise ValueError(f"data.source: {source} needs it; {needed[source]}")
        return value

    @field_validator("categories", mode="wrap")
    @classmethod
    def _named(cls, names: Any, check: Any, info: Any) -> tuple[str, ...]:
        source = info.data.get("source")
        if names is None:
            return known.DOODLES if source == "doodles" else _everything(source)
        # JSON's arrays come as lists, once something stands before the check.
        found: tuple[str, ...] = check(tuple(names) if isinstance(names, list) else names)
        wrong = [_twins(found)]
        if source in DRAWN or source is None:
            wrong += _undrawable(found, source)
        elif odd := [name for name in found if not name.isprintable() or not 0 < len(name) <= 200]:
            wrong.append(f"{_listed(odd)}: no name of a category; 1 to 200 printable characters")
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
                f"not among the doodles: {_listed(sorted(others))}; set data.source: "
                f"quickdraw, or use {', '.join(known.DOODLES)}"
            )
    return wrong


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


class Augment(Section):
    """Random changes to training drawings."""

    rotation: Annotated[float, Field(ge=0, le=180)]
    shift: Annotated[float, Field(ge=0, le=0.5)]
    zoom: Annotated[float, Field(ge=0, le=0.9)]
    # From 2/3 on, corners may lie so that a drawing would be folded.
    perspective: Annotated[float, Field(ge=0, le=0.6)] = 0.0
    perspective_probability: Share = 1.0
    resized_crop: Annotated[float, Field(ge=0.01, le=1)] = 1.0
    crop: Annotated[int, Field(ge=0, le=1024)] = 0
    flip: bool = False


class Course(Section):
    """How weights are changed, and how fast: shared by both kinds of training."""

    optimizer: Literal["adam", "sgd"] = "adam"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    schedule: Schedule = "cosine"
    step_epochs: Epochs = 7
    step_factor: Factor = 0.1
    plateau_patience: Epochs = 2
    plateau_factor: Factor = 0.3
    warmup_epochs: Annotated[float, Field(ge=0, le=1000)]


class Heads(Course):
    """What the heads look like: shared by both kinds of training."""

    enabled: bool = True
    dense_width: Annotated[
        int | tuple[int, ...] | None, PlainValidator(_widths), PlainSerializer(_as_it_is)
    ]
    spinal_width: Units | None
    progressive_width: Units | None = None
    sub_layers: Annotated[int, Field(ge=1, le=MOST_SUB_LAYERS)]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    batch_norm: bool
    batch_size: Annotated[int, Field(ge=2, le=1_000_000)]
    precision: Precision
    deterministic: bool


class Train(Heads):
    """Training from random weights."""

    backbone: Backbone
    width: Annotated[float, Field(gt=0, le=16)]
    features: Literal["map", "average", "maximum", "paper"] = "map"
    spinal_input: Literal["halves", "cells"] = "halves"
    initialisation: Literal["pytorch", "keras"]
    epochs: Epochs
    learning_rate: Rate
    # What has always stood in params.yaml is still asked for.
    schedule: Schedule
    plateau_patience: Epochs
    plateau_factor: Factor
    early_stopping: Epochs | None
    augment: Augment


class Finetune(Heads):
    """Training on a pretrained backbone."""

    backbone: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]
    weights: Annotated[str, Field(min_length=1, max_length=4096)]
    image_size: Annotated[int, Field(ge=32, le=2048)]
    unfrozen_blocks: Annotated[int | Literal["all"], PlainValidator(_blocks)]
    head_epochs: Epochs
    head_learning_rate: Rate
    epochs: Annotated[int, Field(ge=0, le=100_000)]
    learning_rate: Rate


class Evaluate(Section):
    """What is measured on the test split."""

    top_k: Annotated[int, Field(ge=1, le=1000)]
    bootstrap_samples: Annotated[int, Field(ge=100, le=1_000_000)]
    confidence: Annotated[float, Field(ge=0.5, lt=1)]
    latency_repeats: Annotated[int, Field(ge=1, le=100_000)]
    seed: Seed


STORES = ("http", "https", "sqlite", "postgresql", "mysql", "mssql")


class Tracking(Section):
    """Where MLflow keeps the runs."""

    enabled: bool
    experiment: Annotated[str, Field(min_length=1, max_length=200)]
    uri: Annotated[str, Field(min_length=1, max_length=4096)] | None
    system_metrics: bool

    @field_validator("uri")
    @classmethod
    def _of_a_store(cls, uri: str | None) -> str | None:
        if uri is None:
            return uri
        try:
            parts = urlsplit(uri)
            _ = parts.port
        except ValueError as error:
            raise ValueError(f"no URL ({error})") from None
        kind = parts.scheme.partition("+")[0]
        if kind not in STORES or (kind in ("http", "https") and not parts.hostname):
            listed = ", ".join(f"{each}://" for each in STORES)
            raise ValueError(f"not a store of MLflow's: it begins with one of {listed}")
        return uri


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
        if problem := _twins(values):
            raise ValueError(problem)
        return values

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not (self.train.enabled or self.finetune.enabled):
            raise ValueError("train.enabled and finetune.enabled are both false; make one true")
        return self

    def flat(self) -> dict[str, Any]:
        """Dotted key to value, for MLflow."""

        def walk(prefix: str, value: Any) -> dict[str, Any]:
            if isinstance(value, dict):
                parts = [walk(f"{prefix}.{key}" if prefix else key, v) for key, v in value.items()]
                return {key: v for part in parts for key, v in part.items()}
            return {prefix: value}

        return walk("", self.model_dump(mode="json"))

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
        WrongInputError: one error that lists everything wrong, a line each, by dotted key.
    """
    path = Path(path)
    values = read(path)
    try:
        return Params.model_validate(_tuples(values))
    except ValidationError as error:
        lines = explained(error.errors(include_url=False), Params)
    raise WrongInputError("\n".join([f"{path}: {lines[0]}", *(f"  {line}" for line in lines[1:])]))


def _tuples(value: Any) -> Any:
    """Lists as tuples, which strict validation wants."""
    if isinstance(value, dict):
        return {key: _tuples(inner) for key, inner in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
