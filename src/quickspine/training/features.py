"""What a frozen network makes of a split: computed once for all heads and seeds, and kept."""

from __future__ import annotations

import functools
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tqdm import tqdm

from quickspine.dataset.records.reader import PREFETCH, steady
from quickspine.dataset.records.seeds import derive
from quickspine.files import STATE, digest, lock, sha256, whole_folder, write_json
from quickspine.space import need_space

FOLDER = STATE / "features"


def kept(
    facts: dict[str, Any],
    forward: Callable[[Any], Any],
    data: Any,
    label: str,
    examples: int,
    folder: Path = FOLDER,
) -> NDArray[np.float32]:
    """The outputs of `forward` for every batch of `data`, from the folder of features if there.

    Args:
        facts: all that the outputs depend on; its digest names them.
        forward: maps a batch to float32 [n, …].
        data: a tf.data.Dataset of batches in a fixed order; run through only where needed.
        label: shown on the progress bar.
        examples: how many there are in `data`.
        folder: where the features are kept; deleting it costs time, nothing else.

    Returns:
        float32 [examples, …], mapped from disk: it may be larger than memory.

    Raises:
        NoSpaceError: where the disk has no room for them.
    """
    place = folder / digest(facts)
    values, manifest = place / "values.npy", place / "manifest.json"
    with lock(f"features-{place.name[:16]}", wait_s=3600):
        if place.exists() and not _is_sound(values, manifest):
            print(f"{label}: {place} is damaged; computing it again", file=sys.stderr, flush=True)
            shutil.rmtree(place)
        if not place.exists():
            with whole_folder(place) as partial:
                _compute(forward, data, partial / values.name, label, examples)
                content = {"sha256": sha256(partial / values.name)}
                write_json(partial / manifest.name, content)
    features: NDArray[np.float32] = np.load(values, mmap_mode="r", allow_pickle=False)
    return features


def _is_sound(values: Path, manifest: Path) -> bool:
    try:
        return bool(json.loads(manifest.read_bytes())["sha256"] == sha256(values))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _compute(
    forward: Callable[[Any], Any], data: Any, path: Path, label: str, examples: int
) -> None:
    done = 0
    with path.open("wb") as file:
        for batch in tqdm(data, desc=label, unit="batch", leave=False, disable=None):
            outputs = forward(batch).numpy().astype("<f4")
            if not done:
                size = examples * outputs[0].nbytes
                remedy = "change finetune.unfrozen_blocks, or lower finetune.image_size"
                need_space(path, size, remedy)
                shape = (examples, *outputs.shape[1:])
                header = {"descr": "<f4", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
            file.write(outputs.tobytes())
            done += len(outputs)
    if done != examples:
        raise ValueError(f"{label}: {done} examples instead of {examples}")


def shuffled(
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    batch_size: int,
    *,
    seed: int,
    epochs: int,
) -> Callable[[int], Any]:
    """Epochs of kept features, each in an order that (seed, epoch) decides.

    Returns:
        A function from an epoch (from 0) to a tf.data.Dataset of (float32 [batch_size, …],
        int64 [batch_size]): that epoch and all after it, one behind another. What does not fill
        the last batch of an epoch is left out.
    """
    steps = len(labels) // batch_size

    @functools.lru_cache(2)  # of the epoch that goes on, and the one that is read ahead
    def order(epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng(derive(seed, "order", epoch)).permutation(len(labels))

    def epochs_from(first: int) -> Any:
        def batch(number: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
            epoch, step = divmod(int(number), steps)
            chosen = order(first + epoch)[step * batch_size : (step + 1) * batch_size]
            return features[chosen], labels[chosen]

        return _batches(batch, (epochs - first) * steps, features, batch_size)

    return epochs_from


def ordered(features: NDArray[np.float32], labels: NDArray[np.int64], batch_size: int) -> Any:
    """A tf.data.Dataset of all kept features in their order."""

    def batch(number: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        own = slice(int(number) * batch_size, (int(number) + 1) * batch_size)
        return np.array(features[own]), labels[own]

    return _batches(batch, -(-len(labels) // batch_size), features, None)


def _batches(
    batch: Callable[[int], tuple[NDArray[np.float32], NDArray[np.int64]]],
    count: int,
    features: NDArray[np.float32],
    size: int | None,
) -> Any:
    """The batches number 0 to `count` - 1 as a tf.data.Dataset, some read ahead."""

    def read(number: Any) -> tuple[Any, Any]:
        # Stateless, or a deterministic TensorFlow would read nothing ahead.
        found, answers = tf.numpy_function(batch, [number], (tf.float32, tf.int64), stateful=False)
        return tf.ensure_shape(found, (size, *features.shape[1:])), tf.ensure_shape(
            answers, (size,)
        )

    plain = tf.autograph.experimental.do_not_convert(read)
    return tf.data.Dataset.range(count).map(plain).prefetch(PREFETCH).with_options(steady())
