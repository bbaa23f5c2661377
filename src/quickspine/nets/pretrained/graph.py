"""The graph of a functional model, in order. The one place that looks inside Keras for it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import keras


def nodes(model: keras.Model) -> list[Any]:
    """The calls that make up `model`, each after those that it needs; inputs first.

    A node has `operation`, `input_tensors` and `output_tensors`. Keras has no public name for
    them: `layer.output` knows a layer's first call only, and layers may be shared.
    """
    depths = model._nodes_by_depth
    return [node for depth in sorted(depths, reverse=True) for node in depths[depth]]


def uses(model: keras.Model) -> Counter[int]:
    """How often each tensor, by id, is used in `model`; its outputs count once more."""
    used = Counter(id(tensor) for tensor in model.outputs)
    used.update(id(tensor) for node in nodes(model) for tensor in node.input_tensors)
    return used
