"""Read the shards: the order of every epoch is decided by (seed, epoch) alone.

TensorFlow is imported by the first dataset only: it takes seconds, and damage is named before.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from quickspine.checked import checked
from quickspine.dataset import SPLITS
from quickspine.dataset.example import parse
from quickspine.dataset.shards import Manifest, check_records
from quickspine.errors import WrongInputError
from quickspine.files import digest, read_json, sha256
from quickspine.randomness import derive

if TYPE_CHECKING:
    from quickspine.params import Data

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
        import tensorflow as tf

        shards = self.manifest["splits"][split]["shards"]
        names = [str(self.folder / shard["file"]) for shard in shards]
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

    def check_unchanged(self) -> None:
        """Another `tfrecords` may have replaced the shards while they were read.

        Raises:
            WrongInputError: if the manifest is another one now.
        """
        path = self.folder / "manifest.json"
        if read_json(path, "tfrecords") != self.manifest:
            raise WrongInputError(f"{path}: replaced while it was read; run this again")

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Around all that reads the shards: what TensorFlow finds wrong with them is named.

        Raises:
            WrongInputError: if a checksum is wrong, or a shard vanishes after it was opened.
        """
        try:
            yield
        except Exception as error:
            import tensorflow as tf  # nothing but TensorFlow raises what is looked for here

            told = error.message if isinstance(error, tf.errors.OpError) else ""
            if not isinstance(error, tf.errors.DataLossError) and str(self.folder) not in told:
                raise
            told = re.sub(r"\{\{.*?\}\}|\[Op:.*", "", told, flags=re.DOTALL)  # of its own nodes
            reason = " ".join(told.split())[:300]
            raise WrongInputError(
                f"{self.folder}: a shard cannot be read ({reason}); run: dvc repro -f tfrecords"
            ) from None


def _shuffled(data: Any, seed: int) -> Any:
    """Shuffle block by block: `Dataset.shuffle` would also depend on tf.random.set_seed."""

    import tensorflow as tf

    def shuffle(number: Any, block: Any) -> Any:
        key = tf.stack([tf.constant(seed, tf.int64), number])
        return tf.random.experimental.stateless_shuffle(block, key)

    return data.batch(SHUFFLE_BLOCK).enumerate().map(shuffle).unbatch()


def steady() -> Any:
    """Options without tf.data's autotuning, which stalls for seconds when an iterator ends."""
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    options.deterministic = True
    return options


def _check_choice(folder: Path, found: Manifest, data: Data) -> None:
    """A model of other drawings would be taken for what it is not."""
    if found.source != data.source:
        raise WrongInputError(
            f"{folder}: drawings of the source {found.source!r:.80}, while data.source is "
            f"{data.source}; run: dvc repro"
        )
    if found.categories != list(data.categories):
        others = sorted(set(found.categories) ^ set(data.categories))
        named = ", ".join(map(repr, others[:3])) if others else "they are in another order"
        raise WrongInputError(
            f"{folder}: drawings of other categories than data.categories ({named:.200}); "
            "run: dvc repro"
        )


def open_records(folder: Path, data: Data | None = None) -> RecordSet:
    """Open a records folder after comparing manifest and shards with their digests.

    And with each other: where all digests were made to fit, the shards still hold drawings of the
    manifest's shape with labels of its categories. TensorFlow is not needed for that.

    Args:
        folder: what tfrecords made.
        data: what the params ask for; where given, the records must be of that.

    Raises:
        WrongInputError: naming the manifest or the first shard that is missing or damaged, or
            saying that the records are of other drawings than `data`.
    """
    path = folder / "manifest.json"
    manifest = read_json(path, "tfrecords")
    facts = checked(Manifest, manifest, path, "tfrecords")
    if digest({key: value for key, value in manifest.items() if key != "digest"}) != facts.digest:
        raise WrongInputError(
            f"{path}: damaged (its digest is that of another one); run: dvc repro -f tfrecords"
        )
    if data is not None:
        _check_choice(folder, facts, data)
    pixels = facts.shape[0] * facts.shape[1] * facts.shape[2]
    for split in SPLITS:
        for shard in getattr(facts.splits, split).shards:
            place, reason = folder / shard.file, ""
            try:
                if not place.is_file() or place.stat().st_size != shard.bytes:
                    reason = "missing, or of another size"
                elif sha256(place) != shard.sha256:
                    reason = "its sha256 is another"
                else:
                    check_records(place, shard.examples, pixels, len(facts.categories))
            except (OSError, ValueError) as error:
                reason = str(error)
            if reason:
                raise WrongInputError(
                    f"{place}: not the shard of {shard.examples} drawings that was written "
                    f"({reason}); run: dvc repro -f tfrecords"
                )
    return RecordSet(folder, manifest)
