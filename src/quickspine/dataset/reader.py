"""Read the shards: the order of every epoch is decided by (seed, epoch) alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from quickspine.dataset import SPLITS
from quickspine.dataset.example import parse
from quickspine.errors import WrongInputError
from quickspine.files import digest, read_json, sha256
from quickspine.randomness import derive

# Shards are shuffled inside and among each other; blocks mix neighbours on top of that.
SHUFFLE_BLOCK = 16_384  # examples: 13 MB
PREFETCH = 4  # batches


@dataclass(frozen=True)
class RecordSet:
    """A records folder whose shards are what the manifest says."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def categories(self) -> list[str]:
        """Names in the order of the labels."""
        return list(self.manifest["categories"])

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of a drawing."""
        height, width, channels = self.manifest["shape"]
        return height, width, channels

    @property
    def digest(self) -> str:
        """Names the data: equal for equal drawings, labels and order."""
        return str(self.manifest["digest"])

    def examples(self, split: str) -> int:
        """How many drawings a split holds."""
        return int(self.manifest["splits"][split]["examples"])

    def serialised(self, split: str, order: np.random.Generator | None = None) -> Any:
        """A tf.data.Dataset of serialised Examples; `order` shuffles the shards."""
        shards = self.manifest["splits"][split]["shards"]
        names = [str(_place(self.folder, shard["file"])) for shard in shards]
        if order is not None:
            names = [names[index] for index in order.permutation(len(names))]
        return tf.data.TFRecordDataset(names, buffer_size=1 << 20)

    def ordered(self, split: str, batch_size: int) -> Any:
        """Every example once, in the order of the shards.

        Returns:
            A tf.data.Dataset of (uint8 [n, *shape], int64 [n]); the last batch may be smaller.
        """
        data = self.serialised(split).batch(batch_size)
        data = data.map(lambda batch: parse(batch, self.shape), num_parallel_calls=2)
        return data.prefetch(PREFETCH).with_options(steady())

    def shuffled(self, split: str, batch_size: int, *, seed: int, epoch: int) -> Any:
        """The order of one epoch: the same for the same (seed, epoch), whoever asks.

        Returns:
            A tf.data.Dataset of (uint8 [batch_size, *shape], int64 [batch_size]); what does not
            fill the last batch is left out, in each epoch something else.
        """
        chosen = derive(seed, "order", epoch)
        data = self.serialised(split, np.random.default_rng(chosen))
        data = _shuffled(data, chosen).batch(batch_size, drop_remainder=True)
        data = data.map(lambda batch: parse(batch, self.shape), num_parallel_calls=2)
        return data.with_options(steady())


def _shuffled(data: Any, seed: int) -> Any:
    """Shuffle block by block: `Dataset.shuffle` would also depend on tf.random.set_seed."""

    def shuffle(number: Any, block: Any) -> Any:
        key = tf.stack([tf.constant(seed, tf.int64), number])
        return tf.random.experimental.stateless_shuffle(block, key)

    return data.batch(SHUFFLE_BLOCK).enumerate().map(shuffle).unbatch()


def _place(folder: Path, name: Any) -> Path:
    return folder / Path(str(name)).name  # inside the folder, whatever a manifest says


def steady() -> Any:
    """Options without tf.data's autotuning, which stalls for seconds when an iterator ends."""
    options = tf.data.Options()
    options.autotune.enabled = False
    options.deterministic = True
    return options


def open_records(folder: Path) -> RecordSet:
    """Open a records folder after comparing manifest and shards with their digests.

    Raises:
        WrongInputError: naming the manifest or the first shard that is missing or damaged.
    """
    path = folder / "manifest.json"
    manifest = read_json(path, "tfrecords")
    try:
        shards = [shard for split in SPLITS for shard in manifest["splits"][split]["shards"]]
        expected = [
            (str(s["file"]), int(s["bytes"]), str(s["sha256"]), int(s["examples"])) for s in shards
        ]
        records = RecordSet(folder, manifest)
        _ = records.categories, records.shape
        if digest({k: v for k, v in manifest.items() if k != "digest"}) != records.digest:
            raise ValueError("its digest is that of another one")
    except (KeyError, TypeError, ValueError) as error:
        raise WrongInputError(f"{path}: damaged ({error!r}); run: dvc repro -f tfrecords") from None
    for name, size, content, examples in expected:
        shard = _place(folder, name)
        if not shard.is_file() or shard.stat().st_size != size or sha256(shard) != content:
            raise WrongInputError(
                f"{shard}: not the shard of {examples} drawings that was written; "
                "run: dvc repro -f tfrecords"
            )
    return records
