"""Backbones with pretrained weights, by name; TensorFlow is imported when one is built.

What each needs stands in `catalogue`; `blocks` cuts a backbone into a frozen trunk and a
trainable tail, `folding` makes the trunk fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from quickspine.nets.pretrained.catalogue import IMAGENET, NONE, check, find
from quickspine.params.paths import resolve_path

if TYPE_CHECKING:
    import keras

__all__ = ["build", "check"]


def build(name: str, weights: str, image_size: int) -> keras.Model:
    """Build a backbone with its weights.

    Args:
        name: `finetune.backbone`.
        weights: `finetune.weights`: "imagenet", "none" (random, by keras.utils.set_random_seed)
            or the path of a weights file.
        image_size: `finetune.image_size`, pixels a side.

    Returns:
        A flat functional model from float32 RGB [-1, image_size, image_size, 3], values 0 to 255,
        to float32 features [-1, F]; the preprocessing of its family is inside.

    Raises:
        InputError: as `check` does, and if the weights do not fit or cannot be downloaded.
    """
    check(name, weights, image_size)
    module = importlib.import_module(f"quickspine.nets.pretrained.{find(name).module}")
    if weights not in (IMAGENET, NONE):
        weights = str(resolve_path(weights))
    model: keras.Model = module.build(name, weights, image_size)
    return model
