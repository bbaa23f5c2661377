"""What a head sees of the backbone's map."""

from __future__ import annotations

from typing import Any

import keras

from quickspine.nets.backbones.layers.head_block import HeadLayer


def pooling(features: str, head: type[HeadLayer]) -> str:
    """Resolve `train.features` for a head: "map", "average" or "maximum".

    "paper" is what the authors' ResNet scripts do: their dense head sees the largest value of each
    channel, their spinal head the whole map, four times as many features. With the other three all
    heads see the same.
    """
    return head.paper_features if features == "paper" else features


def select_features(maps: Any, pooled: str) -> Any:
    """Give a head the map itself, or one number a channel.

    Args:
        maps: float [-1, height, width, channels]; [-1, features] stays as it is.
        pooled: "map", "average" or "maximum".

    Returns:
        `maps`, or float [-1, channels].
    """
    if pooled == "map" or len(maps.shape) == 2:
        return maps
    if pooled == "average":
        return keras.layers.GlobalAveragePooling2D(name="average")(maps)
    return keras.layers.GlobalMaxPooling2D(name="maximum")(maps)
