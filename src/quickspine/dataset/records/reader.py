"""Read the shards: the order of every epoch is decided by (seed, epoch) alone.

TensorFlow is imported by the first dataset only: it takes seconds, and damage is named before.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quickspine.dataset import SPLITS
from quickspine.dataset.records import decoding, picture_shards
from quickspine.dataset.records.blocks import batched, blocks, by_pieces, passes
from quickspine.dataset.records.layout import Layout
from quickspine.dataset.records.picture_shards import PictureShard
from quickspine.dataset.records.seeds import derive
from quickspine.dataset.records.shard_reader import Pieces, open_shard
from quickspine.dataset.records.shards import Manifest, Shard
from quickspine.errors import InputError
from quickspine.files import digest, read_json
from quickspine.parallel import Stop, by_threads
from quickspine.sources.storage.manifest import PICTURES
from quickspine.validation import checked

if TYPE_CHECKING:
    from quickspine.params import Data

# Shards are shuffled inside and among each other; blocks mix neighbours on top of that.
SHUFFLE_BLOCK = 16_384  # examples: 13 MB
ORDERED_PIECES = 4  # of a mebibyte, read at once where nothing is shuffled
PREFETCH = 4  # batches


@dataclass(frozen=True)
class RecordSet:
    """A records folder whose shards are what the manifest says."""

    folder: Path
    manifest: dict[str, Any]
    # The shards by split, of pixels or of pictures.
    pieces: dict[str, list[Pieces]] = field(repr=False, compare=False)
    pictures: dict[str, list[PictureShard]] = field(default_factory=dict, repr=False, compare=False)

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

    @property
    def decoded(self) -> bool:
        """Whether pictures are decoded as they are read, each a moment's work."""
        return bool(self.pictures)

    def examples(self, split: str) -> int:
        """How many drawings a split holds."""
        return int(self.manifest["splits"][split]["examples"])

    def shards(self, split: str) -> list[Pieces]:
        """The shards of a split in their order."""
        return self.pieces[split]

    def ordered(self, split: str, batch_size: int) -> Any:
        """Every example once, in the order of the shards.

        Returns:
            A tf.data.Dataset of (uint8 [n, *shape], int64 [n]); the last batch may be smaller.
        """
        if self.decoded:
            data = decoding.in_order(self.pictures[split], self.shape).batch(batch_size)
            return data.prefetch(PREFETCH).with_options(steady())
        shards = self.shards(split)
        data = blocks(shards, by_pieces(shards, ORDERED_PIECES), self.shape)
        return batched(data, batch_size).prefetch(PREFETCH).with_options(steady())

    def shuffled(
        self, split: str, batch_size: int, *, seed: int, epoch: int, epochs: int = 1
    ) -> Any:
        """Epochs in their orders: each the same for the same (seed, epoch), whoever asks.

        Args:
            split: which.
            batch_size: drawings.
            seed: decides the orders.
            epoch: the first one, from 0.
            epochs: how many, one behind another; what is read ahead is read over their ends.

        Returns:
            A tf.data.Dataset of (uint8 [batch_size, *shape], int64 [batch_size]); what does not
            fill the last batch of an epoch is left out, in each epoch something else.
        """
        seeds = [derive(seed, "order", number) for number in range(epoch, epoch + epochs)]
        if self.decoded:
            data = decoding.passes(self.pictures[split], self.shape, seeds, batch_size)
            return data.batch(batch_size, drop_remainder=True).with_options(steady())
        data = passes(self.shards(split), SHUFFLE_BLOCK, self.shape, seeds, batch_size)
        return batched(data, batch_size, drop_remainder=True).with_options(steady())

    def check_unchanged(self) -> None:
        """Another `tfrecords` may have replaced the shards while they were read.

        Raises:
            InputError: if the manifest is another one now.
        """
        path = self.folder / "manifest.json"
        if read_json(path, "tfrecords") != self.manifest:
            raise InputError(f"{path}: replaced while it was read; run this again")

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Around all that reads the shards: what TensorFlow finds wrong with them is named.

        Raises:
            InputError: if a checksum is wrong, or a shard vanishes after it was opened.
        """
        try:
            yield
        except Exception as error:
            import tensorflow as tf  # nothing but TensorFlow raises what is looked for here

            told = error.message if isinstance(error, tf.errors.OpError) else ""
            ours = re.escape(str(self.folder))
            found = re.search(rf"{InputError.__name__}: ({ours}.*)", told)
            if not found:
                raise
            raise InputError(
                f"{self.folder}: a shard cannot be read ({found[1]}); run: dvc repro -f tfrecords"
            ) from None


def steady() -> Any:
    """Options without tf.data's autotuning, which stalls for seconds when an iterator ends."""
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    options.deterministic = True
    return options


def _check_choice(folder: Path, found: Manifest, data: Data) -> None:
    """A model of other drawings would be taken for what it is not."""
    if found.source != data.name:
        raise InputError(
            f"{folder}: drawings of the source {found.source!r:.80}, while the params ask "
            f"for {data.name}; run: dvc repro"
        )
    if data.categories and found.categories != list(data.categories):
        others = sorted(set(found.categories) ^ set(data.categories))
        named = ", ".join(map(repr, others[:3])) if others else "they are in another order"
        raise InputError(
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
        InputError: naming the manifest or the first shard that is missing or damaged, or
            saying that the records are of other drawings than `data`.
    """
    path = folder / "manifest.json"
    manifest = read_json(path, "tfrecords")
    facts = checked(Manifest, manifest, path, "tfrecords")
    if digest({key: value for key, value in manifest.items() if key != "digest"}) != facts.digest:
        raise InputError(
            f"{path}: damaged (its digest is that of another one); run: dvc repro -f tfrecords"
        )
    if data is not None:
        _check_choice(folder, facts, data)
    layout = Layout(math.prod(facts.shape), len(facts.categories))

    def opened(shard: Shard, stop: Stop) -> Pieces | PictureShard:
        place = folder / shard.file
        try:
            if facts.encoding == PICTURES:
                return picture_shards.open_shard(place, shard)
            return open_shard(place, shard, layout)
        except (OSError, ValueError) as error:
            raise InputError(
                f"{place}: not the shard of {shard.examples} drawings that was written "
                f"({error}); run: dvc repro -f tfrecords"
            ) from None

    pieces, pictures = dict[str, list[Pieces]](), dict[str, list[PictureShard]]()
    for split in SPLITS:
        with closing(by_threads(opened, getattr(facts.splits, split).shards)) as found:
            for shard in found:
                if isinstance(shard, Pieces):
                    pieces.setdefault(split, []).append(shard)
                else:
                    pictures.setdefault(split, []).append(shard)
    return RecordSet(folder, manifest, pieces, pictures)
