"""Read the shards: the order of every epoch is decided by (seed, epoch) alone.

TensorFlow is imported by the first dataset only: it takes seconds, and damage is named before.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from quickspine.dataset.records.seeds import derive
from quickspine.errors import InputError
from quickspine.files import read_json, read_manifest
from quickspine.parallel import Stop, by_threads, cores, go_on
from quickspine.params import SPLITS
from quickspine.sources.storage.manifest import PICTURES

if TYPE_CHECKING:
    from quickspine.params import Data

# Shards are shuffled inside and among each other; blocks mix neighbours on top of that.
SHUFFLE_BLOCK = 16_384  # examples shuffled together at most: 13 MB of Quick, Draw!
SHUFFLE_BYTES = 64 << 20  # and what they take at most
PARSED_AT_ONCE = 1024  # examples: parsing is ten times slower one by one
PREFETCH = 4  # batches
PIECE = 1 << 20  # bytes hashed at once


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
        """Height, width and channels of an image."""
        height, width, channels = self.manifest["shape"]
        return height, width, channels

    @property
    def digest(self) -> str:
        """Names the data: equal for equal images, labels and order."""
        return str(self.manifest["digest"])

    @property
    def has_pictures(self) -> bool:
        """Whether examples are image files, decoded and resized as they are read."""
        return bool(self.manifest.get("encoding") == PICTURES)

    def examples(self, split: str) -> int:
        """Number of examples of a split."""
        return int(self.manifest["splits"][split]["examples"])

    def shards(self, split: str) -> list[str]:
        """Paths of a split's shards, in their order."""
        return [str(self.folder / one["file"]) for one in self.manifest["splits"][split]["shards"]]

    def ordered(self, split: str, batch_size: int) -> Any:
        """Every example once, in the order of the shards.

        Returns:
            A tf.data.Dataset of (uint8 [n, *shape], int64 [n]); the last batch may be smaller.
        """
        import tensorflow as tf

        data = tf.data.TFRecordDataset(self.shards(split)).batch(batch_size)
        data = _of_length(data.map(self._parse), -(-self.examples(split) // batch_size))
        return self._decoded(data).prefetch(PREFETCH).with_options(steady())

    def labels(self, split: str) -> NDArray[np.int64]:
        """The labels of all examples, int64 [n], as `ordered` has them; no image is decoded."""
        import tensorflow as tf

        data = tf.data.TFRecordDataset(self.shards(split)).batch(4096).map(self._parse)
        return np.concatenate([labels.numpy() for _, labels in data.with_options(steady())])

    def shuffled(
        self, split: str, batch_size: int, *, seed: int, epoch: int, epochs: int = 1
    ) -> Any:
        """Epochs in their orders: each the same for the same (seed, epoch), whoever asks.

        In each epoch the shards come in another order, and so do the examples of a block.

        Args:
            split: which.
            batch_size: examples.
            seed: decides the orders.
            epoch: the first one, from 0.
            epochs: how many, one behind another; what is read ahead is read over their ends.

        Returns:
            A tf.data.Dataset of (uint8 [batch_size, *shape], int64 [batch_size]); what does not
            fill the last batch of an epoch is left out, in each epoch something else.
        """
        import tensorflow as tf

        examples, paths = self.examples(split), tf.constant(self.shards(split))
        size = sum(shard["bytes"] for shard in self.manifest["splits"][split]["shards"])
        block = max(1, min(SHUFFLE_BLOCK, SHUFFLE_BYTES * examples // size))
        shuffle = tf.random.experimental.stateless_shuffle
        orders = [derive(seed, "order", number) for number in range(epoch, epoch + epochs)]

        def one_epoch(order: Any) -> Any:
            def mixed(number: Any, examples: tuple[Any, Any]) -> tuple[Any, Any]:
                images, labels = examples
                chosen = shuffle(tf.range(tf.shape(labels)[0]), tf.stack([order, number]))
                return tf.gather(images, chosen), tf.gather(labels, chosen)

            files = shuffle(paths, tf.stack([order, -1]))
            data = tf.data.TFRecordDataset(files).batch(min(block, PARSED_AT_ONCE))
            data = data.map(self._parse, num_parallel_calls=2).rebatch(block).enumerate()
            data = data.map(mixed, num_parallel_calls=2).rebatch(batch_size, drop_remainder=True)
            return _of_length(data, examples // batch_size)

        data = tf.data.Dataset.from_tensor_slices(np.array(orders, np.int64)).flat_map(one_epoch)
        return self._decoded(data).with_options(steady())

    def _parse(self, serialised: Any) -> tuple[Any, Any]:
        """Images and labels of Examples; images that need decoding as they are, strings [n]."""
        import tensorflow as tf

        features = {
            "image": tf.io.FixedLenFeature([], tf.string),
            "label": tf.io.FixedLenFeature([], tf.int64),
        }
        found = tf.io.parse_example(serialised, features)
        images = found["image"]
        if not self.has_pictures:
            size = int(np.prod(self.shape))
            pixels = tf.io.decode_raw(images, tf.uint8, fixed_length=size)
            images = tf.reshape(pixels, (-1, *self.shape))
        return images, found["label"]

    def _decoded(self, data: Any) -> Any:
        """Pictures as pixels of one size; batches of pixels are left as they are."""
        import tensorflow as tf

        if not self.has_pictures:
            return data
        pixels = tf.TensorSpec(self.shape, tf.uint8)

        def decode(content: Any) -> Any:
            image = tf.io.decode_image(content, channels=3, expand_animations=False)
            return resized(image, self.shape)

        def decode_batch(contents: Any, labels: Any) -> tuple[Any, Any]:
            return tf.map_fn(decode, contents, fn_output_signature=pixels), labels

        return data.map(decode_batch, num_parallel_calls=cores())

    def check_unchanged(self) -> None:
        """Raise InputError where another `tfrecords` replaced the shards while they were read."""
        path = self.folder / "manifest.json"
        if read_json(path, "tfrecords") != self.manifest:
            raise InputError(f"{path}: replaced while it was read; run this again")

    def check_shards(self) -> None:
        """Compare every shard with its size and sha256 in the manifest.

        Raises:
            InputError: naming the first shard that is missing or damaged.
        """
        shards = [shard for split in SPLITS for shard in self.manifest["splits"][split]["shards"]]
        with closing(by_threads(self._check_shard, shards)) as checked:
            for _ in checked:
                pass

    def _check_shard(self, shard: dict[str, Any], stop: Stop) -> None:
        path = self.folder / shard["file"]
        try:
            if not path.is_file() or path.stat().st_size != shard["bytes"]:
                raise ValueError("missing, or of another size")
            hasher = hashlib.sha256()
            with path.open("rb") as file:
                while piece := file.read(PIECE):
                    hasher.update(piece)
                    go_on(stop)
            if hasher.hexdigest() != shard["sha256"]:
                raise ValueError("its sha256 is another")
        except (OSError, ValueError) as error:
            raise InputError(
                f"{path}: not the shard of {shard['examples']} images that was written "
                f"({error}); run: dvc repro -f tfrecords"
            ) from None

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Around all that reads the shards: name the shard that TensorFlow cannot read.

        Raises:
            InputError: if a shard was damaged or has vanished since it was opened.
        """
        try:
            yield
        except Exception as error:
            import tensorflow as tf  # nothing but TensorFlow raises what is looked for here

            if isinstance(error, tf.errors.OpError):
                self.check_shards()  # TensorFlow's checksums failed, but it names no file
            raise


def _of_length(data: Any, batches: int) -> Any:
    """The same batches; an error at their end where a shard held more or fewer."""
    import tensorflow as tf

    return data.apply(tf.data.experimental.assert_cardinality(batches))


def resized(image: Any, shape: tuple[int, int, int]) -> Any:
    """A picture, uint8 [h, w, 3], at another size: uint8 [*shape].

    Bilinear with antialiasing: fine patterns do not turn into false ones.
    """
    import tensorflow as tf

    image = tf.ensure_shape(image, (None, None, 3))
    values = tf.image.resize(image, shape[:2], antialias=True)
    return tf.ensure_shape(tf.cast(tf.round(tf.clip_by_value(values, 0, 255)), tf.uint8), shape)


def steady() -> Any:
    """Options without tf.data's autotuning, which stalls for seconds when an iterator ends."""
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    options.deterministic = True
    return options


def open_records(folder: Path, data: Data | None = None) -> RecordSet:
    """Open a records folder after comparing manifest and shards with their digests.

    Args:
        folder: what tfrecords made.
        data: what the params ask for; where given, the records must be of that.

    Raises:
        InputError: naming the manifest or the first shard that is missing or damaged, or
            saying that the records are of other images than `data`.
    """
    records = RecordSet(folder, read_manifest(folder / "manifest.json", "tfrecords"))
    if data is not None:
        _check_choice(records, data)
    records.check_shards()
    return records


def _check_choice(records: RecordSet, data: Data) -> None:
    """A model of other images would be taken for what it is not."""
    folder, source = records.folder, records.manifest["source"]
    if source != data.name:
        raise InputError(
            f"{folder}: images of the source {source!r:.80}, while the params ask "
            f"for {data.name}; run: dvc repro"
        )
    if data.categories and records.categories != list(data.categories):
        others = sorted(set(records.categories) ^ set(data.categories))
        named = ", ".join(map(repr, others[:3])) if others else "they are in another order"
        raise InputError(
            f"{folder}: images of other categories than data.categories ({named:.200}); "
            "run: dvc repro"
        )
