"""Heads by name: a new one is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from quickspine.nets.backbones.layers.head_block import HeadLayer
from quickspine.nets.heads.dense import DenseHead
from quickspine.nets.heads.linear import LinearHead
from quickspine.nets.heads.matched import MatchedHead
from quickspine.nets.heads.progressive import ProgressiveHead
from quickspine.nets.heads.spinal import SpinalHead
from quickspine.params import HeadConfig

__all__ = [
    "DenseHead",
    "HeadLayer",
    "LinearHead",
    "MatchedHead",
    "ProgressiveHead",
    "SpinalHead",
    "build",
]

_HEADS: dict[str, Callable[[HeadConfig], tuple[type[HeadLayer], dict[str, Any]]]] = {
    "dense": lambda p: (DenseHead, {"width": p.dense_width}),
    "spinal": lambda p: (SpinalHead, {"width": p.spinal_width, "sub_layers": p.sub_layers}),
    "linear": lambda p: (LinearHead, {}),
    "matched": lambda p: (
        MatchedHead,
        {"spinal_width": p.spinal_width, "sub_layers": p.sub_layers},
    ),
    "progressive": lambda p: (
        ProgressiveHead,
        {"width": p.progressive_width, "sub_layers": p.sub_layers},
    ),
}


def build(
    name: str, params: HeadConfig, classes: int, seed: int, initialisation: str, **more: Any
) -> HeadLayer:
    """The head `name` as `params` describes it, with the same dropout and norm for every head.

    `more` are arguments of its own that hang on the features.
    """
    kind, own = _HEADS[name](params)
    return kind(
        classes,
        dropout=params.dropout,
        batch_norm=params.batch_norm,
        initialisation=initialisation,
        seed=seed,
        name="head",
        dtype="float32",  # a few small products: their logits stay exact in mixed precision too
        **own,
        **more,
    )
