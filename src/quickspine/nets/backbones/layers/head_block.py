"""The base classes of all heads: one kind of hidden block, one way to flatten, two shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from quickspine.dataset.records.seeds import derive
from quickspine.nets.backbones.layers.initialisation import linear
from quickspine.nets.backbones.layers.normalisation import FusedBatchNormalization


def flatten_channels_first(features: Any) -> Any:
    """Flatten [batch, height, width, channels] as PyTorch does: channel by channel.

    A half of the flat features is then a half of the channels, as in the paper, and not the
    upper or the lower half of the image. [batch, features] stays as it is.
    """
    if len(features.shape) == 4:
        features = keras.ops.transpose(features, (0, 3, 1, 2))
    return keras.ops.reshape(features, (-1, flat_size(features.shape)))


def flat_size(shape: tuple[int | None, ...]) -> int:
    """How many features a tensor of `shape` ([batch, …]) holds for one example."""
    size = 1
    for side in shape[1:]:
        if side is None:
            raise ValueError(f"A head needs features of a known size. Received: shape={shape}")
        size *= side
    return size


def part_size(shape: tuple[int | None, ...], cells: bool) -> int:
    """Count the features of `shape` ([batch, …]) that a sub-layer sees: a half, or a cell's."""
    return shape[-1] or 0 if cells else (flat_size(shape) + 1) // 2


def spinal_parameters(
    part: int, classes: int, width: int | None, sub_layers: int, batch_norm: bool
) -> int:
    """Count the trainable parameters of a SpinalHead whose sub-layers see `part` features each."""
    width = width or part
    sub_layer = (part + 1) * width + (sub_layers - 1) * (part + width + 1) * width
    return sub_layer + 2 * width * sub_layers * batch_norm + (sub_layers * width + 1) * classes


class HeadLayer(keras.layers.Layer):  # type: ignore[misc]
    """A head: features to logits, built from Dropout – Linear – BatchNorm – ReLU blocks.

    Args:
        classes: number of logits.
        dropout: share dropped before each linear layer; 0 leaves the dropout out.
        batch_norm: normalise after each hidden linear layer.
        initialisation: "pytorch" or "keras".
        seed: decides initial weights and dropout.

    Attributes:
        paper_features: what `train.features: paper` gives this head: "map" or "maximum".
    """

    paper_features = "map"

    def __init__(
        self,
        classes: int,
        *,
        dropout: float = 0.0,
        batch_norm: bool = False,
        initialisation: str = "pytorch",
        seed: int = 0,
        **rest: Any,
    ) -> None:
        super().__init__(**rest)
        self.classes = classes
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.initialisation = initialisation
        self.seed = seed
        self._order: dict[str, list[str]] = {}  # block to its stages, attributes of this layer

    def get_config(self) -> dict[str, Any]:
        names = ("classes", "dropout", "batch_norm", "initialisation", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, int]:
        return (shape[0], self.classes)

    def add(self, name: str, units: int, fan_in: int, *, hidden: bool) -> None:
        """Build the block `name`: hidden ones end in (BatchNorm and) ReLU, the output does not."""
        path = f"head/{name}"
        dtype = self.dtype_policy  # the parts would take the global policy instead
        stages: list[keras.layers.Layer] = []
        if self.dropout:
            rate, seed = self.dropout, derive(self.seed, path, "dropout")
            stages.append(
                keras.layers.Dropout(rate, seed=seed, name=f"{name}_dropout", dtype=dtype)
            )
        stages.append(linear(units, fan_in, path, self.seed, self.initialisation, dtype))
        if hidden and self.batch_norm:
            stages.append(FusedBatchNormalization(name=f"{name}_norm", dtype=dtype))
        if hidden:
            stages.append(keras.layers.ReLU(name=f"{name}_relu", dtype=dtype))
        width = fan_in
        for stage in stages:
            stage.build((None, width))
            width = units if isinstance(stage, keras.layers.Dense) else width
            setattr(self, stage.name, stage)  # as an attribute Keras tracks and saves it
        self._order[name] = [stage.name for stage in stages]

    def run(self, name: str, values: Any, training: bool | None) -> Any:
        """Run the block `name` on [batch, fan_in]."""
        for stage in (getattr(self, stage) for stage in self._order[name]):
            takes = isinstance(stage, keras.layers.Dropout | keras.layers.BatchNormalization)
            values = stage(values, training=training) if takes else stage(values)
        return values


class HiddenHead(HeadLayer):
    """A head whose `build` calls `add_blocks` with the widths of its hidden layers."""

    paper_features = "maximum"

    def add_blocks(self, shape: tuple[int | None, ...], widths: Sequence[int]) -> None:
        """Add the hidden blocks and the logits for features of `shape` ([batch, …])."""
        features = flat_size(shape)
        self.blocks = ("hidden", *(f"hidden{number}" for number in range(2, len(widths) + 1)))
        for name, width in zip(self.blocks, widths, strict=True):
            self.add(name, width, features, hidden=True)
            features = width
        self.add("logits", self.classes, features, hidden=False)

    def call(self, features: Any, training: bool | None = None) -> Any:
        values = flatten_channels_first(features)
        for name in self.blocks:
            values = self.run(name, values, training)
        return self.run("logits", values, training)


class ChainHead(HeadLayer):
    """A head of `sub_layers` hidden blocks of `width` units, one after the other.

    Args:
        classes: number of logits.
        width: units of one sub-layer; each subclass has its own default for None.
        sub_layers: how many.
        rest: see `HeadLayer`.
    """

    def __init__(
        self, classes: int, *, width: int | None = None, sub_layers: int = 4, **rest: Any
    ) -> None:
        super().__init__(classes, **rest)
        if sub_layers < 1 or (width is not None and width < 1):
            raise ValueError(
                f"{type(self).__name__} needs at least one sub-layer of at least one unit. "
                f"Received: sub_layers={sub_layers}, width={width}"
            )
        self.width = width
        self.sub_layers = sub_layers

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "width": self.width, "sub_layers": self.sub_layers}
