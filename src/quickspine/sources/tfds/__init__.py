"""Image classification data sets of tensorflow-datasets, by `data.dataset`: a name or name/config.

What a builder has not downloaded and prepared yet, it does now, in `data.folder` or in tfds's own
place. Its splits are kept, and its images are as it has them: pixels where all have one small
shape, JPEG and PNG files as they came where `data.image_size` asks for them. EMNIST's images are
turned upright, and its classes have the names of their characters.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tqdm import tqdm

from quickspine.errors import InputError
from quickspine.params import Data
from quickspine.params.errors import shown
from quickspine.sources import Collection, Encoding
from quickspine.sources.chosen import capped, check_enough, choose
from quickspine.sources.tfds import reading
from quickspine.sources.tfds.content import Content, attribution, examine, licence, own_splits
from quickspine.sources.tfds.library import find, started
from quickspine.sources.tfds.preparing import prepare
from quickspine.sources.tfds.sorting import Sorter
from quickspine.space import need_space

SYNTHETIC = False
LICENCE = "see the data set's homepage"
ATTRIBUTION = "tensorflow-datasets (https://www.tensorflow.org/datasets)"


def fetch(data: Data, folder: Path) -> Collection:
    """Write the images of each category of `data.dataset` into `folder`, split after split.

    Returns:
        A file a category, numbered by label: `.npy` of pixels, or `.zip` of the files as they
        came. At most `data.drawings_per_category` images of each split; categories without any
        image are left out, unless they are asked for by name.

    Raises:
        InputError: if there is no such builder, it is no image classification, cannot be
            downloaded, has other categories, fewer images than asked for, or images that need
            another `data.image_size`.
        NoSpaceError: if the disk is too full.
    """
    with started() as library:
        builder = find(library, str(data.dataset), data.folder)  # params see to it that it is told
        full = builder.info.full_name
        content = examine(library, builder)
        if not all(name.isdecimal() for name in content.names):
            choose(data, list(content.names), full)  # before anything travels
        _check_size(data, content, full)
        prepare(library, builder)
        content = examine(library, builder)  # some know the names of their classes only now
        categories = list(choose(data, list(content.names), full))
        labelled = {
            name: reading.has_labels(library, builder, name, content.label)
            for name in builder.info.splits
        }
        splits = own_splits(labelled, full)
        as_files = data.image_size is not None and not content.fixed
        _need(data, builder, content, len(categories), splits, folder, as_files)

        labels = [content.names[name] for name in categories]
        sorter = Sorter(folder, labels, data.limit, as_files, full)
        _sort(library, builder, content, splits, as_files, sorter)
        _check_enough(data, categories, sorter, full)
        urls = [f"tfds:{full}/{quote(name)}" for name in categories]
        entries = sorter.close(categories, urls)
        if len(entries) < 2:
            only = ", ".join(shown(entry.category) for entry in entries) or "none"
            raise InputError(
                f"data.dataset: images of two categories at least are needed. {full} has: {only}"
            )
        height, width = sorter.size or (data.image_size or 0,) * 2
        encoding: Encoding = "pictures" if as_files else "raw"
        shape = (height, width, content.shape[2])
        return Collection(entries, shape, encoding, licence(builder), attribution(builder))


def _check_size(data: Data, content: Content, full: str) -> None:
    height, width, _ = content.shape
    if data.image_size is not None and content.fixed and (height, width) != (data.image_size,) * 2:
        raise InputError(
            f"data.image_size: images of {full} have {height} x {width} pixels and are kept so; "
            f"make it null. Received: {data.image_size}"
        )


def _sort(
    library: Any,
    builder: Any,
    content: Content,
    splits: dict[str, str],
    as_files: bool,
    sorter: Sorter,
) -> None:
    total = sum(builder.info.splits[theirs].num_examples for theirs in splits.values())
    print(f"fetch: {builder.info.full_name}: {total:,} images", file=sys.stderr, flush=True)
    read = reading.files if as_files else reading.pixels
    with tqdm(total=total, desc="fetch", unit=" images", mininterval=0.5, disable=None) as bar:
        for ours, theirs in splits.items():
            for labels, images in read(library, builder, theirs, content):
                bar.update(len(labels))
                if not sorter.add(ours, labels, images):
                    break


def _check_enough(data: Data, categories: list[str], sorter: Sorter, full: str) -> None:
    """Categories that were named must have images; each split as many as were asked for.

    Where all are taken, a category may be missing in a split.
    """
    counts = {
        name: {split: found[place] for split, found in sorter.counts.items()}
        for place, name in enumerate(categories)
    }
    counts = {name: found for name, found in counts.items() if any(found.values())}
    empty = [shown(name) for name in data.categories if name not in counts]
    if empty:
        raise InputError(
            f"data.categories: {full} has no images of {', '.join(capped(empty))}; leave such out"
        )
    if data.drawings_per_category is not None and not data.allow_fewer:
        check_enough(data, counts, full)


def _need(
    data: Data,
    builder: Any,
    content: Content,
    categories: int,
    splits: dict[str, str],
    folder: Path,
    as_files: bool,
) -> None:
    height, width, channels = content.shape
    each = height * width * channels if height and width else 0
    needed = 0.0
    for theirs in splits.values():
        split = builder.info.splits[theirs]
        most = min(data.limit * categories, split.num_examples) / max(1, split.num_examples)
        share = min(most, categories / len(content.names))
        needed += share * (split.num_bytes if as_files else split.num_examples * each)
    need_space(folder.parent, int(needed), "lower data.drawings_per_category")
