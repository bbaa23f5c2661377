"""Loads a Keras weights file into a model, all of it, or says why it does not fit."""

from __future__ import annotations

import warnings

import keras
import numpy as np

from quickspine.errors import InputError


def load(model: keras.Model, path: str, name: str) -> None:
    """Load all weights of `model` from a `.weights.h5` file or an older `.h5` file.

    Args:
        model: the backbone, without a top.
        path: the file; of a `.weights.h5` file, a top is left aside.
        name: the backbone's name, for the message.

    Raises:
        InputError: if the file cannot be read, or does not hold each of these weights.
    """
    weights = [weight for weight in model.weights if keras.backend.is_float_dtype(weight.dtype)]
    # Keras merely warns of layers that a file lacks, and of files that older versions wrote:
    # only a weight that is still not a number was surely not loaded.
    for weight in weights:
        weight.assign(np.full(weight.shape, np.nan))
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Skipping nested container")
            model.load_weights(path)
        missing = [weight.path for weight in weights if np.isnan(weight.numpy()).any()]
        if missing:
            raise ValueError(f"nothing for {len(missing)} weights, such as {missing[0]}")
    except Exception as error:  # Keras and h5py raise many kinds, some of them bare Exception
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            f"finetune.weights: {path!r} does not fit {name} without its top "
            f"({type(error).__name__}: {reason}); give weights saved from that backbone"
        ) from None
