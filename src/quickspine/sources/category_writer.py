"""Sort images, in any order of their categories, into one file per category."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from quickspine.errors import InputError
from quickspine.params import Data
from quickspine.sources import Fetched
from quickspine.sources.file_types import JPEG, PNG, describe_content
from quickspine.sources.selection import max_images
from quickspine.sources.storage.writing import Pictures, Rows, entry, many_files


class CategoryWriter:
    """The first images of every category and split, in files numbered by category.

    Args:
        data: the params: how many images of a category are taken from a split.
        folder: where the files are written.
        labels: category to its number in the source, in the order of the files.
        source: its name, for messages.
        as_files: whether images are the bytes of JPEG and PNG files, else pixels.

    Attributes:
        counts: split to category to images so far.
        size: height and width of all images of pixels so far.
    """

    def __init__(
        self, data: Data, folder: Path, labels: dict[str, int], source: str, as_files: bool = False
    ) -> None:
        self.counts: dict[str, Counter[str]] = {}
        self.size: tuple[int, int] | None = None
        self._data, self._folder, self._source, self._as_files = data, folder, source, as_files
        self._names = {label: name for name, label in labels.items()}
        self._numbers = {name: number for number, name in enumerate(labels)}
        self._files: dict[str, Rows | Pictures] = {}
        if as_files:
            many_files(len(labels))

    def add(self, split: str, labels: Any, images: Any) -> bool:
        """Append some images of a split; those of other labels, or beyond the limit, are skipped.

        Args:
            split: its name; "" for a source without splits.
            labels: int [n].
            images: uint8 [n, ...], each image of the same shape; or the bytes of n files.

        Returns:
            Whether more images of this split are wanted.

        Raises:
            InputError: if pixels differ in size, or a file is neither JPEG nor PNG.
        """
        counts, limit = self.counts.setdefault(split, Counter()), max_images(self._data, split)
        if not self._as_files:
            self._check_size(images.shape[1:3])
        for label in np.unique(labels).tolist():
            name = self._names.get(label)
            if name is None or counts[name] >= limit:
                continue
            rows = np.flatnonzero(labels == label)[: limit - counts[name]]
            file = self._file(name, images)
            if isinstance(file, Rows):
                file.append(images[rows].reshape(len(rows), -1))
            else:
                for row in rows:
                    self._check_kind(images[row])
                    file.append(images[row])
            counts[name] += len(rows)
        return any(counts[name] < limit for name in self._numbers)

    def close(self, url: Callable[[str], str]) -> list[Fetched]:
        """Finish the files, and number them without gaps: categories without images have none.

        Args:
            url: from a category to where its images came from.
        """
        entries = list[Fetched]()
        for name in self._numbers:
            file = self._files.get(name)
            if file is None:
                continue
            file.close()
            file.place = file.place.rename(file.place.with_stem(f"{len(entries):05d}"))
            splits = {split: counts[name] for split, counts in self.counts.items() if split}
            entries.append(entry(name, file, url(name), splits or None))
        return entries

    def _file(self, name: str, images: Any) -> Rows | Pictures:
        if name not in self._files:
            stem = self._folder / f"{self._numbers[name]:05d}"
            self._files[name] = (
                Pictures(stem.with_suffix(".zip"))
                if self._as_files
                else Rows(stem.with_suffix(".npy"), images[0].size)
            )
        return self._files[name]

    def _check_size(self, size: tuple[int, int]) -> None:
        if self.size is not None and size != self.size:
            sizes = " and ".join(f"{h} x {w}" for h, w in sorted({self.size, size}))
            raise InputError(
                f"data.image_size: images of {self._source} have several sizes ({sizes} pixels, "
                "perhaps more); set it to the pixels a side to resize them to, such as 224"
            )
        self.size = size

    def _check_kind(self, content: bytes) -> None:
        if not content.startswith((JPEG, PNG)):
            raise InputError(
                f"data.dataset: {self._source} holds files that are neither JPEG nor PNG. "
                f"Received: {describe_content(content)}"
            )
