"""Image classification data sets of tensorflow-datasets, by `data.dataset`: a name or name/config.

What a builder has not downloaded and prepared yet, it does now, in `data.folder` or in tfds's own
place. Its splits are kept, and its images are as it has them: pixels where all have one small
shape, JPEG and PNG files as they came where `data.image_size` asks for them. EMNIST's images are
turned upright, and its classes have the names of their characters.
"""

from __future__ import annotations

import sys
from pathlib import Path
from urllib.parse import quote

from tqdm import tqdm

from quickspine.errors import InputError
from quickspine.params import Data
from quickspine.params.errors import shown
from quickspine.params.paths import resolve_path
from quickspine.sources import Collection
from quickspine.sources.category_writer import CategoryWriter
from quickspine.sources.image_file import print_corrupt, reencode_corrupt
from quickspine.sources.selection import check_counts, max_images, select_categories, shorten
from quickspine.sources.tfds.builders import find_builder, prepare, start_tfds
from quickspine.sources.tfds.content import Content, examine
from quickspine.space import need_space

SYNTHETIC = False
LICENCE = "see the data set's homepage"
ATTRIBUTION = "tensorflow-datasets (https://www.tensorflow.org/datasets)"


def fetch(data: Data, folder: Path) -> Collection:
    """Write the images of each category of `data.dataset` into `folder`, split after split.

    Returns:
        A file a category, numbered by label: `.npy` of pixels, or `.zip` of the files as they
        came. Categories without any image are left out, unless they are asked for by name.

    Raises:
        InputError: if there is no such builder, it is no image classification, cannot be
            downloaded, has other categories, fewer images than asked for, or images that need
            another `data.image_size`.
        NoSpaceError: if the disk is too full.
    """
    with start_tfds() as tfds:
        kept_in = None if data.folder is None else str(resolve_path(data.folder))
        builder = find_builder(tfds, str(data.dataset), kept_in)
        content = examine(tfds, builder)
        full = content.full_name
        if not all(name.isdecimal() for name in content.names):
            select_categories(data, list(content.names), full)  # before anything is downloaded
        height, width, channels = content.shape
        if content.fixed and data.image_size not in (None, height if height == width else None):
            raise InputError(
                f"data.image_size: images of {full} have {height} x {width} pixels and are "
                f"kept so; make it null. Received: {data.image_size}"
            )
        prepare(tfds, builder)
        content = examine(tfds, builder)  # some know the names of their classes only now
        categories, splits = select_categories(data, list(content.names), full), content.splits
        as_files = data.image_size is not None and not content.fixed
        need = _needed(data, content, len(categories), splits, as_files)
        need_space(folder.parent, need, "lower data.drawings_per_category")

        labels = {name: content.names[name] for name in categories}
        writer = CategoryWriter(data, folder, labels, full, as_files)
        _write(content, splits, as_files, writer)
        _check(data, categories, writer, full)
        entries = writer.close(lambda name: f"tfds:{full}/{quote(name)}")
        if len(entries) < 2:
            only = ", ".join(shown(entry.category) for entry in entries) or "none"
            raise InputError(
                f"data.dataset: images of two categories at least are needed. {full} has: {only}"
            )
        side = data.image_size or 0
        return Collection(
            entries,
            (*(writer.size or (side, side)), channels),
            "pictures" if as_files else "raw",
            content.licence,
            content.attribution,
        )


def _write(
    content: Content, splits: dict[str, str], as_files: bool, writer: CategoryWriter
) -> None:
    known, damaged = content.builder.info.splits, list[str]()
    total = sum(known[theirs].num_examples for theirs in splits.values())
    print(f"fetch: {content.full_name}: {total:,} images", file=sys.stderr, flush=True)
    with tqdm(total=total, desc="fetch", unit=" images", mininterval=0.5, disable=None) as bar:
        for ours, theirs in splits.items():
            start = 0
            for labels, images in content.read_split(theirs, as_files):
                if as_files:
                    images, found = reencode_corrupt(images)
                    damaged += [f"{theirs}, image {start + at}: {found[at]}" for at in found]
                start += len(labels)
                bar.update(len(labels))
                if not writer.add(ours, labels, images):
                    break
    print_corrupt(damaged)


def _check(data: Data, categories: tuple[str, ...], writer: CategoryWriter, full: str) -> None:
    """Refuse categories asked for by name without images, and warn of a split that lacks one."""
    counts = {
        name: {split: counts[name] for split, counts in writer.counts.items()}
        for name in categories
    }
    counts = {name: of for name, of in counts.items() if any(of.values())}
    if empty := [shown(name) for name in data.categories if name not in counts]:
        raise InputError(
            f"data.categories: {full} has no images of {', '.join(shorten(empty))}; leave such out"
        )
    check_counts(data, counts, full, may_be_missing=True)


def _needed(
    data: Data, content: Content, categories: int, splits: dict[str, str], as_files: bool
) -> int:
    """Estimate the bytes that are written."""
    height, width, channels = content.shape
    each = height * width * channels if height and width else 0
    needed = 0.0
    for ours, theirs in splits.items():
        split = content.builder.info.splits[theirs]
        most = min(max_images(data, ours) * categories, split.num_examples)
        share = min(most / max(1, split.num_examples), categories / len(content.names))
        needed += share * (split.num_bytes if as_files else split.num_examples * each)
    return int(needed)
