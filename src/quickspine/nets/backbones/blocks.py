"""What the layers of every backbone have in common: names, widths, initial weights."""

from __future__ import annotations

from typing import Any

import keras

from quickspine.dataset.records.seeds import derive
from quickspine.nets.backbones.layers.initialisation import convolution
from quickspine.nets.backbones.layers.normalisation import FusedBatchNormalization
from quickspine.nets.sizes import smallest_side


class Layers:
    """Makes the layers of one backbone.

    Args:
        backbone: its name; with the name of a layer it decides the initial weights.
        inputs: float [-1, height, width, channels].
        width: multiplies the filters; each convolution keeps at least one.
        initialisation: "pytorch" or "keras".
        seed: decides initial weights and dropout, layer by layer.
        kind: of 3×3 convolutions before a normalisation; others are Keras' own.
        he: whether "pytorch" is He's normal kernel by fan-out and a zero bias, or PyTorch's
            default, as the paper's code of this backbone has it.

    Raises:
        ValueError: if the sides are too small.
    """

    def __init__(
        self,
        backbone: str,
        inputs: Any,
        *,
        width: float,
        initialisation: str,
        seed: int,
        kind: type[keras.layers.Conv2D] = keras.layers.Conv2D,
        he: bool,
    ) -> None:
        least = smallest_side(backbone)
        if min(inputs.shape[1:3]) < least:
            raise ValueError(
                f"{backbone} needs sides of at least {least}. Received: {inputs.shape}"
            )
        self.backbone = backbone
        self.width = width
        self.initialisation = initialisation
        self.seed = seed
        self.kind = kind
        self.he = he

    def filters(self, published: int) -> int:
        """How many filters at this width; `published` at width 1."""
        return max(1, round(published * self.width))

    def convolution(
        self,
        values: Any,
        filters: int,
        size: int,
        name: str,
        *,
        padding: str = "same",
        bias: bool = True,
        kind: type[keras.layers.Conv2D] = keras.layers.Conv2D,
    ) -> Any:
        """A convolution of stride 1."""
        layer = convolution(
            filters,
            size,
            f"{self.backbone}/{name}",
            self.seed,
            self.initialisation,
            kind,
            fan_in=None if self.he else size * size * values.shape[-1],
            padding=padding,
            use_bias=bias,
        )
        return layer(values)

    def normalised(self, values: Any, filters: int, name: str, *, bias: bool = True) -> Any:
        """A 3×3 convolution that keeps the size, and batch normalisation."""
        values = self.convolution(values, filters, 3, name, bias=bias, kind=self.kind)
        return self.norm(values, name)

    def halved(self, values: Any, filters: int, name: str) -> Any:
        """A 3×3 convolution of stride 2 without bias, and batch normalisation.

        A frame of zeros is laid around the map, as in PyTorch; Keras' "same" would lay it on two
        sides only. Sides become half as long, rounded up.
        """
        values = keras.layers.ZeroPadding2D(name=f"{name}_pad")(values)
        layer = convolution(
            filters,
            3,
            f"{self.backbone}/{name}",
            self.seed,
            self.initialisation,
            fan_in=None if self.he else 9 * values.shape[-1],
            padding="valid",
            strides=2,
            use_bias=False,
        )
        return self.norm(layer(values), name)

    def norm(self, values: Any, name: str) -> Any:
        """Batch normalisation of the layer `name`."""
        return FusedBatchNormalization(name=f"{name}_norm")(values)

    def dropout(self, values: Any, rate: float, name: str) -> Any:
        """Whole channels are dropped in training, as PyTorch's Dropout2d does."""
        seed = derive(self.seed, f"{self.backbone}/{name}", "dropout")
        return keras.layers.SpatialDropout2D(rate, seed=seed, name=name)(values)


def relu(values: Any, name: str) -> Any:
    """ReLU after the layer `name`."""
    return keras.layers.ReLU(name=f"{name}_relu")(values)
