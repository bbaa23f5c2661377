"""What a frozen network makes of a split: computed once for all heads and seeds, and kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tqdm import tqdm

from quickspine.dataset.npy import GrowingNpy
from quickspine.files import STATE, digest, lock, whole_file
from quickspine.randomness import derive

FOLDER = STATE / "features"


def kept(
    facts: dict[str, Any],
    forward: Callable[[Any], Any],
    data: Any,
    label: str,
    folder: Path = FOLDER,
) -> NDArray[np.float32]:
    """The outputs of `forward` for every batch of `data`, from the folder of features if there.

    Args:
        facts: all that the outputs depend on; its digest names the file.
        forward: maps a batch to float32 [n, …].
        data: a tf.data.Dataset of batches in a fixed order; run through only where needed.
        label: shown on the progress bar.
        folder: where the features are kept; deleting it costs time, nothing else.

    Returns:
        float32 [examples, …], mapped from disk: it may be larger than memory.
    """
    path = folder / f"{digest(facts)}.npy"
    with lock(f"features-{path.stem[:16]}", wait_s=3600):
        if not path.exists():
            with whole_file(path) as partial:
                _compute(forward, data, partial, label)
    found: NDArray[np.float32] = np.load(path, mmap_mode="r", allow_pickle=False)
    return found


def _compute(forward: Callable[[Any], Any], data: Any, path: Path, label: str) -> None:
    file: GrowingNpy | None = None
    for batch in tqdm(data, desc=label, unit="batch", leave=False, disable=None):
        outputs = forward(batch).numpy().astype(np.float32)
        if file is None:
            file = GrowingNpy(path, outputs.shape[1:], np.dtype(np.float32))
        file.append(outputs)
    if file is None:
        raise ValueError(f"{label}: no batches")
    file.close()


def shuffled(
    features: NDArray[np.float32], labels: NDArray[np.int64], batch_size: int, *, seed: int
) -> Callable[[int], Any]:
    """Epochs of kept features, each in an order that (seed, epoch) decides.

    Returns:
        A function from the epoch (from 0) to a tf.data.Dataset of (float32 [batch_size, …],
        int64 [batch_size]); what does not fill the last batch is left out.
    """
    signature = (
        tf.TensorSpec((batch_size, *features.shape[1:]), tf.float32),
        tf.TensorSpec((batch_size,), tf.int64),
    )

    def epoch_of(epoch: int) -> Any:
        def batches() -> Any:
            random = np.random.default_rng(derive(seed, "order", epoch))
            order = random.permutation(len(labels))
            for start in range(0, len(order) - batch_size + 1, batch_size):
                chosen = order[start : start + batch_size]
                yield features[chosen], labels[chosen]

        return tf.data.Dataset.from_generator(batches, output_signature=signature)

    return epoch_of


def ordered(features: NDArray[np.float32], labels: NDArray[np.int64], batch_size: int) -> Any:
    """A tf.data.Dataset of all kept features in their order."""

    def batches() -> Any:
        for start in range(0, len(labels), batch_size):
            yield features[start : start + batch_size], labels[start : start + batch_size]

    signature = (
        tf.TensorSpec((None, *features.shape[1:]), tf.float32),
        tf.TensorSpec((None,), tf.int64),
    )
    return tf.data.Dataset.from_generator(batches, output_signature=signature)
