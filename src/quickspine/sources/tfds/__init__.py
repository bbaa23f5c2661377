"""Image classification data sets of tensorflow-datasets, by `data.dataset`: a name or name/config.

What a builder has not downloaded and prepared yet, it does now, in `data.folder` or in tfds's own
place. Its splits are kept, and its images are as it has them: pixels where all have one small
shape, JPEG and PNG files as they came where `data.image_size` asks for them. EMNIST's images are
turned upright, and its classes have the names of their characters.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from tqdm import tqdm

from quickspine import categories as known
from quickspine.errors import WrongInputError
from quickspine.params import EVERY, Data
from quickspine.params_errors import MAX_SHOWN
from quickspine.sources import Collection, Fetched
from quickspine.sources.tfds import reading
from quickspine.sources.tfds.content import Content, attribution, examine, licence, own_splits
from quickspine.sources.tfds.library import find, started
from quickspine.sources.tfds.preparing import prepare
from quickspine.sources.writing import Kind, Pictures, Rows, entry, many_files
from quickspine.space import need_space

SYNTHETIC = False
LICENCE = "see the data set's homepage"
ATTRIBUTION = "tensorflow-datasets (https://www.tensorflow.org/datasets)"

_STARTS: dict[bytes, Kind] = {b"\xff\xd8\xff": "jpg", b"\x89PNG\r\n\x1a\n": "png"}
_REMEDY = "lower data.drawings_per_category"


def fetch(data: Data, folder: Path) -> Collection:
    """Write the images of each category of `data.dataset` into `folder`, split after split.

    Returns:
        A file a category, numbered by label: `.npy` of pixels, or `.zip` of the files as they
        came. At most `data.drawings_per_category` images of each split; categories without any
        image are left out, unless they are asked for by name.

    Raises:
        WrongInputError: if there is no such builder, it is no image classification, cannot be
            downloaded, has other categories, fewer images than asked for, or images that need
            another `data.image_size`.
        NoSpaceError: if the disk is too full.
    """
    with started() as library:
        builder = find(library, str(data.dataset), data.folder)  # params see to it that it is told
        content = examine(library, builder)
        if not all(name.isdecimal() for name in content.names):
            _categories(data, content)  # before anything travels
        _check_size(data, content, builder)
        prepare(library, builder)
        content = examine(library, builder)  # some know the names of their classes only now
        categories = _categories(data, content)
        splits = _splits(library, builder, content)
        return _write(data, library, builder, content, categories, splits, folder)


def _categories(data: Data, content: Content) -> list[str]:
    if not data.categories:
        return list(content.names)
    names = tuple(content.names)
    wrong = [
        f"{name!r}: {problem}"
        for name in data.categories
        if (problem := known.unknown(name, names)) is not None
    ]
    if wrong:
        more = f"; and {len(wrong) - MAX_SHOWN} more" if len(wrong) > MAX_SHOWN else ""
        raise WrongInputError(
            f"data.categories: {'; '.join(wrong[:MAX_SHOWN])}{more}; {data.dataset} has "
            f"{len(names)}: {', '.join(names[:MAX_SHOWN])}{', …' * (len(names) > MAX_SHOWN)}"
        )
    return list(data.categories)


def _check_size(data: Data, content: Content, builder: Any) -> None:
    height, width, _ = content.shape
    if data.image_size is not None and content.fixed and (height, width) != (data.image_size,) * 2:
        raise WrongInputError(
            f"data.image_size: images of {builder.info.full_name} have {height} x {width} pixels "
            f"and are kept so; make it null. Received: {data.image_size}"
        )


def _splits(library: Any, builder: Any, content: Content) -> dict[str, str]:
    found = {
        name: reading.has_labels(library, builder, name, content.label)
        for name in builder.info.splits
    }
    return own_splits(found, builder.info.full_name)


def _write(
    data: Data,
    library: Any,
    builder: Any,
    content: Content,
    categories: list[str],
    splits: dict[str, str],
    folder: Path,
) -> Collection:
    as_files = data.image_size is not None and not content.fixed
    _need(data, builder, content, len(categories), splits, folder, as_files)
    numbers = {content.names[name]: number for number, name in enumerate(categories)}
    if as_files:
        many_files(len(categories))
    written: list[Rows | Pictures | None] = [None] * len(categories)
    counts = {split: Counter[int]() for split in splits}
    size: tuple[int, int] | None = None
    sized = [builder.info.splits[theirs].num_examples for theirs in splits.values()]
    bar = tqdm(total=sum(sized), desc="fetch", unit=" images", mininterval=0.5, disable=None)
    with bar:
        for ours, theirs in splits.items():
            full = 0  # categories that have as many as asked for
            for labels, images in _read(library, builder, theirs, content, as_files):
                bar.update(len(labels))
                if not as_files:
                    size = _same(size, images.shape[1:3], builder)
                for number, chosen in _chosen(labels, numbers, counts[ours], data.limit):
                    file = written[number]
                    if file is None:
                        file = written[number] = _open(folder, number, images, as_files)
                    if isinstance(file, Rows):
                        file.append(images[chosen].reshape(len(chosen), -1))
                    else:
                        for index in chosen:
                            file.append(images[index], _kind(images[index], builder))
                    counts[ours][number] += len(chosen)
                    full += counts[ours][number] == data.limit
                if full == len(categories):
                    break
    _check_enough(data, categories, counts)
    shape = (*(size or (data.image_size or 0,) * 2), content.shape[2])
    entries = list[Fetched]()
    for number, name in enumerate(categories):
        if (file := written[number]) is not None:
            file.close()
            entries.append(_entry(name, file, len(entries), builder, counts, number))
    if len(entries) < 2:
        raise WrongInputError(
            f"data.dataset: images of two categories at least are needed. Received: "
            f"{', '.join(each.category for each in entries) or 'none'}"
        )
    return Collection(
        entries,
        shape,
        "pictures" if as_files else "raw",
        licence=licence(builder),
        attribution=attribution(builder),
    )


def _read(
    library: Any, builder: Any, split: str, content: Content, as_files: bool
) -> Iterator[tuple[Any, Any]]:
    read = reading.files if as_files else reading.pixels
    return iter(read(library, builder, split, content))


def _chosen(
    labels: Any, numbers: dict[int, int], counts: Counter[int], limit: int
) -> Iterator[tuple[int, Any]]:
    """Categories by number, each with the places of its images that are still wanted."""
    for label in np.unique(labels).tolist():
        number = numbers.get(label)  # None: another category, or an image without a label
        if number is not None and (left := limit - counts[number]) > 0:
            yield number, np.flatnonzero(labels == label)[:left]


def _same(size: tuple[int, int] | None, found: tuple[int, int], builder: Any) -> tuple[int, int]:
    """The size of all images so far, of all splits."""
    if size is not None and found != size:
        raise WrongInputError(
            f"data.image_size: images of {builder.info.full_name} have several sizes "
            f"({size[0]} x {size[1]} and {found[0]} x {found[1]} pixels, perhaps more); set it to "
            "the pixels a side that they shall become, such as 224"
        )
    return found


def _open(folder: Path, number: int, images: Any, as_files: bool) -> Rows | Pictures:
    if as_files:
        return Pictures(folder / f"{number:05d}.zip")
    return Rows(folder / f"{number:05d}.npy", images[0].size)


def _kind(content: bytes, builder: Any) -> Kind:
    for start, kind in _STARTS.items():
        if content.startswith(start):
            return kind
    raise WrongInputError(
        f"data.dataset: {builder.info.full_name} holds files that are neither JPEG nor PNG. "
        f"Received: {content[:12]!r}…"
    )


def _entry(
    name: str,
    file: Rows | Pictures,
    label: int,
    builder: Any,
    counts: dict[str, Counter[int]],
    number: int,
) -> Fetched:
    # Categories without images were left out: labels, and so the names of files, have no gaps.
    file.place = file.place.rename(file.place.with_stem(f"{label:05d}"))
    splits = {split: counts[split][number] for split in counts} if "" not in counts else None
    return entry(name, file, f"tfds:{builder.info.full_name}/{quote(name)}", splits)


def _check_enough(data: Data, categories: list[str], counts: dict[str, Counter[int]]) -> None:
    """Categories that were named must have images, and enough to train on."""
    first = next(iter(counts))
    if data.categories:
        total: Counter[int] = sum(counts.values(), Counter())
        empty = [name for number, name in enumerate(categories) if not total[number]]
        if empty:
            raise WrongInputError(
                f"data.categories: {data.dataset} has no images of "
                f"{', '.join(empty[:MAX_SHOWN])}; take such out"
            )
    if data.limit == EVERY or data.allow_fewer:
        return
    few = {
        name: counts[first][number]
        for number, name in enumerate(categories)
        if 0 < counts[first][number] < data.limit
    }
    if few:
        where = f" in its split {first}" if first else ""
        shown = ", ".join(f"{name} ({rows})" for name, rows in list(few.items())[:MAX_SHOWN])
        raise WrongInputError(
            f"data.drawings_per_category: {len(few)} categories of {data.dataset} have fewer than "
            f"{data.limit} images{where}: {shown}; lower it to {min(few.values())}, or set "
            "data.allow_fewer: true"
        )


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
    needed = 0
    for theirs in splits.values():
        split = builder.info.splits[theirs]
        share = min(1.0, data.limit * categories / max(1, split.num_examples))
        share *= min(1.0, categories / len(content.names))
        each = height * width * channels if height and width else 0
        needed += int(share * (split.num_examples * each if not as_files else split.num_bytes))
    need_space(folder.parent, needed, _REMEDY)
    rows = sum(builder.info.splits[theirs].num_examples for theirs in splits.values())
    print(
        f"fetch: {builder.info.full_name}: reads {rows:,} images, up to {categories:,} categories",
        file=sys.stderr,
        flush=True,
    )
