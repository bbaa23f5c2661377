"""The sections `train` and `finetune`: networks, heads, and how they are trained."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, PlainValidator

from quickspine.params.section import (
    MOST_LAYERS,
    MOST_SUB_LAYERS,
    MOST_UNITS,
    Epochs,
    Factor,
    Rate,
    Section,
    Share,
    Units,
)

# From the plainest on: of every pair the later one is compared with the earlier.
Head = Literal["linear", "dense", "matched", "spinal", "progressive"]
Precision = Literal["auto", "float32", "bfloat16"]
# fmt: off
Backbone = Literal[
    "cnn", "cifar_cnn", "vgg5", "vgg11", "vgg13", "vgg16", "vgg19", "resnet18", "resnet34",
    "densenet",
]
# fmt: on
Schedule = Annotated[
    Literal["constant", "cosine", "step", "plateau", "random_restart"],
    BeforeValidator(lambda name: "random_restart" if name == "restart" else name),  # its old name
]


def _blocks(value: Any) -> Any:
    """Check `unfrozen_blocks` with one message, where pydantic would give one for each type."""
    if value == "all" or (type(value) is int and 0 <= value <= 1000):
        return value
    raise ValueError("input should be a whole number from 0 to 1000, or all")


def _widths(value: Any) -> int | tuple[int, ...] | None:
    """Check `dense_width` with one message, where pydantic would give one for each type."""
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


class Augment(Section):
    """Random changes to training images."""

    rotation: Annotated[float, Field(ge=0, le=180)]
    shift: Annotated[float, Field(ge=0, le=0.5)]
    zoom: Annotated[float, Field(ge=0, le=0.9)]
    # From 2/3 on, corners may lie so that a drawing would be folded.
    perspective: Annotated[float, Field(ge=0, le=0.6)] = 0.0
    perspective_probability: Share = 1.0
    resized_crop: Annotated[float, Field(ge=0.01, le=1)] = 1.0
    crop: Annotated[int, Field(ge=0, le=1024)] = 0
    flip: bool = False


class OptimizerConfig(Section):
    """Optimizer and learning rate schedule: shared by both kinds of training."""

    optimizer: Literal["adam", "sgd"] = "adam"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    schedule: Schedule = "cosine"
    step_epochs: Epochs = 7
    step_factor: Factor = 0.1
    plateau_patience: Epochs = 2
    plateau_factor: Factor = 0.3
    warmup_epochs: Annotated[float, Field(ge=0, le=1000)]


class HeadConfig(OptimizerConfig):
    """Size and regularisation of the heads: shared by both kinds of training."""

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
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None


class Train(HeadConfig):
    """Training from random weights."""

    backbone: Backbone
    width: Annotated[float, Field(gt=0, le=16)]
    features: Literal["map", "average", "maximum", "paper"] = "map"
    spinal_input: Literal["halves", "cells"] = "halves"
    initialisation: Literal["pytorch", "keras"]
    epochs: Epochs
    learning_rate: Rate
    # Required here: they have always stood in params.yaml.
    schedule: Schedule
    plateau_patience: Epochs
    plateau_factor: Factor
    early_stopping: Epochs | None
    augment: Augment


class Finetune(HeadConfig):
    """Training on a pretrained backbone."""

    backbone: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]
    weights: Annotated[str, Field(min_length=1, max_length=4096)]
    image_size: Annotated[int, Field(ge=32, le=2048)]
    unfrozen_blocks: Annotated[int | Literal["all"], PlainValidator(_blocks)]
    head_epochs: Epochs
    head_learning_rate: Rate
    epochs: Annotated[int, Field(ge=0, le=100_000)]
    learning_rate: Rate
