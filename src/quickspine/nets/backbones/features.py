"""What a head sees of the backbone's map."""

from __future__ import annotations

from typing import Any

import keras

# Heads that the paper's ResNet code feeds with one number a channel; the others see the map.
POOLED_THERE = ("linear", "dense", "matched")


def seen(maps: Any, features: str, head: str) -> Any:
    """The features for `head`.

    "paper" is what the authors' ResNet scripts do: their dense head sees the largest value of each
    channel, their spinal head the whole map, four times as many features. With the other three all
    heads see the same.

    Args:
        maps: float [-1, height, width, channels]; [-1, features] stays as it is.
        features: "map", "average", "maximum" or "paper".
        head: one of the params' `heads`.

    Returns:
        `maps`, or float [-1, channels].
    """
    if features == "paper":
        features = "maximum" if head in POOLED_THERE else "map"
    if features == "map" or len(maps.shape) == 2:
        return maps
    if features == "average":
        return keras.layers.GlobalAveragePooling2D(name="average")(maps)
    return keras.layers.GlobalMaxPooling2D(name="maximum")(maps)
