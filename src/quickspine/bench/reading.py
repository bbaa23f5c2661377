"""How fast drawings are read and changed, beside tensorflow-datasets.

Every function takes its rounds in turn, so that what is compared ran on the same machine at the
same time, and returns a number a round. The drawings are in the page cache: nothing is read cold.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from quickspine.dataset.records.reader import RecordSet, steady
from quickspine.params import Augment

Rounds = dict[str, list[float]]
Tell = Callable[[str], None]
PEER = "tfds, "  # how the names of the ways of tensorflow-datasets begin
NAME = "same_drawings"
SHARD = 100_000  # drawings of a shard of tensorflow-datasets: about what its own builders choose
CONSUMED = 1024  # drawings a batch where TensorFlow's own step a batch shall not be what is timed


def reading(
    records: RecordSet,
    folder: Path,
    tell: Tell,
    *,
    rounds: int = 5,
    passes: int = 3,
    peers: int = 10_000,
) -> Rounds:
    """Drawings of the training split read a second: by quickspine and by tensorflow-datasets.

    The latter holds the same drawings as its own Quick, Draw! set does: PNG, read one by one. It is
    read as its users read it (one by one, and in batches of 128), with what its documentation
    advises for speed (`batch_size` of `as_dataset`; drawings kept in memory, decoded, from the
    second epoch on), and in parallel as it comes: https://www.tensorflow.org/datasets/performances.

    Args:
        records: what is read; 1024 drawings in the training split at least.
        folder: an empty one; it is filled with drawings in PNG.
        tell: hears of every step.
        rounds: of all ways in turn, after one that is not counted.
        passes: over the split in each round, by quickspine.
        peers: drawings that tensorflow-datasets reads in each round, once: the first ones.
    """
    tell("writing the drawings as tensorflow-datasets writes them")
    builder = _of_tfds(records, folder, peers)
    first = iter(range(0, 1 << 30, passes))  # other epochs in each round

    def shuffled(batch: int) -> Callable[[], Any]:
        return lambda: records.shuffled("train", batch, seed=1, epoch=next(first), epochs=passes)

    def of_tfds(**named: Any) -> Any:
        return builder.as_dataset(split="train", as_supervised=True, shuffle_files=True, **named)

    import tensorflow as tf

    kept = of_tfds().cache().batch(128).prefetch(tf.data.AUTOTUNE)
    ours, theirs = records.examples("train"), builder.info.splits["train"].num_examples
    # What is read, how many times, and the drawings of each time: training reads all epochs as
    # one, and leaves out what fills no batch.
    ways: dict[str, tuple[Callable[[], Any], int, int]] = {
        "shuffled, batch 128": (shuffled(128), 1, passes * (ours // 128 * 128)),
        f"shuffled, batch {CONSUMED}": (
            shuffled(CONSUMED),
            1,
            passes * (ours // CONSUMED * CONSUMED),
        ),
        "in order, batch 128": (lambda: records.ordered("train", 128), passes, ours),
        f"in order, batch {CONSUMED}": (
            lambda: records.ordered("train", CONSUMED),
            passes,
            ours,
        ),
        f"{PEER}one by one": (lambda: of_tfds().prefetch(tf.data.AUTOTUNE), 1, theirs),
        f"{PEER}batch 128": (lambda: of_tfds().batch(128).prefetch(tf.data.AUTOTUNE), 1, theirs),
        f"{PEER}batch_size=128": (
            lambda: of_tfds(batch_size=128).prefetch(tf.data.AUTOTUNE),
            1,
            theirs,
        ),
        f"{PEER}kept in memory": (lambda: kept, 1, theirs),
    }
    rates: Rounds = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, (way, times, drawings) in ways.items():
            tell(f"reading, {name}, round {number} of {rounds}")
            start = time.perf_counter()
            for _ in range(times):
                batches = iter(way())
                for _ in batches:
                    pass
                del batches  # what its end costs is counted here, and not with the next
            if number:  # the first warms up
                rates[name].append(times * drawings / (time.perf_counter() - start))
    return rates


def _of_tfds(records: RecordSet, folder: Path, most: int) -> Any:
    """The first drawings of the training split, as `quickdraw_bitmap` of tensorflow-datasets."""
    import tensorflow_datasets as tfds  # type: ignore[import-untyped]

    place = folder / NAME / "1.0.0"
    place.mkdir(parents=True)
    features = {
        "image": tfds.features.Image(shape=records.shape, encoding_format="png"),
        "label": tfds.features.ClassLabel(names=records.categories),
    }
    identity = tfds.core.DatasetIdentity(
        name=NAME, version=tfds.core.Version("1.0.0"), data_dir=str(place), module_name=__name__
    )
    info = tfds.core.DatasetInfo(
        builder=identity,
        features=tfds.features.FeaturesDict(features),
        supervised_keys=("image", "label"),
    )
    writer = tfds.core.SequentialWriter(info, max_examples_per_shard=SHARD)
    writer.initialize_splits(["train"])
    first = records.ordered("train", 1000).take(-(-most // 1000))
    for images, labels in first.as_numpy_iterator():
        pairs = zip(images, labels.tolist(), strict=True)
        writer.add_examples({"train": [{"image": one, "label": label} for one, label in pairs]})
    writer.close_all()
    return tfds.builder_from_directory(place)


def augmenting(
    records: RecordSet, tell: Tell, *, batch_size: int, rounds: int = 5, passes: int = 1
) -> Rounds:
    """Drawings changed a second, reading included: three changes (the default) and all four."""
    from quickspine.dataset.augment import augmented

    usual = Augment(rotation=10, shift=0.07, zoom=0.1)
    ways = {
        "rotation, shift, zoom": usual,
        "and perspective": usual.model_copy(update={"perspective": 0.5}),
    }
    batches = records.examples("train") // batch_size
    rates: Rounds = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, params in ways.items():
            tell(f"augmenting, {name}, round {number} of {rounds}")
            start = time.perf_counter()
            for epoch in range(passes):
                data = records.shuffled("train", batch_size, seed=1, epoch=epoch)
                data = augmented(data, params, seed=1, epoch=epoch)
                for _ in data.prefetch(4).with_options(steady()):
                    pass
            if number:
                done = passes * batches * batch_size
                rates[name].append(done / (time.perf_counter() - start))
    return rates
