"""Images in any order of their categories, sorted into a file a category."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from quickspine.errors import InputError
from quickspine.sources import Fetched
from quickspine.sources.storage.writing import Kind, Pictures, Rows, entry, many_files

_STARTS: dict[bytes, Kind] = {b"\xff\xd8\xff": "jpg", b"\x89PNG\r\n\x1a\n": "png"}


class Sorter:
    """Files of a data set's categories, each with the first images of every split.

    Args:
        folder: where the files are written.
        labels: of the categories wanted, as the data set numbers them, in their order here.
        limit: images of a category in a split at most.
        as_files: whether images are the bytes of JPEG and PNG files, else pixels.
        name: of the data set, for messages.

    Attributes:
        counts: split to category, by its place in `labels`, to images so far.
        size: height and width of all images of pixels so far.
    """

    def __init__(
        self, folder: Path, labels: list[int], limit: int, as_files: bool, name: str
    ) -> None:
        self.counts: dict[str, Counter[int]] = {}
        self.size: tuple[int, int] | None = None
        self._folder, self._limit, self._as_files, self._name = folder, limit, as_files, name
        self._places = {label: place for place, label in enumerate(labels)}
        self._files: dict[int, Rows | Pictures] = {}
        if as_files:
            many_files(len(labels))

    def add(self, split: str, labels: Any, images: Any) -> bool:
        """Sort some images of a split.

        Args:
            split: its name here.
            labels: int64 [n].
            images: uint8 [n, height, width, channels]; or the bytes of n files.

        Returns:
            Whether more of this split are wanted.

        Raises:
            InputError: if pixels differ in size, or a file is neither JPEG nor PNG.
        """
        counts = self.counts.setdefault(split, Counter())
        if not self._as_files:
            self._same(images.shape[1:3])
        for place, chosen in self._chosen(labels, counts):
            file = self._file(place, images)
            if isinstance(file, Rows):
                file.append(images[chosen].reshape(len(chosen), -1))
            else:
                for index in chosen:
                    file.append(images[index], self._kind(images[index]))
            counts[place] += len(chosen)
        return any(counts[place] < self._limit for place in self._places.values())

    def close(self, categories: list[str], urls: list[str]) -> list[Fetched]:
        """Finish the files of the categories that have images, and number them anew."""
        entries = list[Fetched]()
        for place, (name, url) in enumerate(zip(categories, urls, strict=True)):
            file = self._files.get(place)
            if file is None:
                continue
            file.close()
            # Labels have no gaps, and so the names of files have none.
            file.place = file.place.rename(file.place.with_stem(f"{len(entries):05d}"))
            splits = {split: counts[place] for split, counts in self.counts.items() if split}
            entries.append(entry(name, file, url, splits or None))
        return entries

    def _chosen(self, labels: Any, counts: Counter[int]) -> Iterator[tuple[int, Any]]:
        """Categories by place, each with the indices of its images that are still wanted."""
        for label in np.unique(labels).tolist():
            place = self._places.get(label)  # None: not wanted, or an image without a label
            if place is not None and (left := self._limit - counts[place]) > 0:
                yield place, np.flatnonzero(labels == label)[:left]

    def _file(self, place: int, images: Any) -> Rows | Pictures:
        if place not in self._files:
            stem = self._folder / f"{place:05d}"
            self._files[place] = (
                Pictures(stem.with_suffix(".zip"))
                if self._as_files
                else Rows(stem.with_suffix(".npy"), images[0].size)
            )
        return self._files[place]

    def _same(self, size: tuple[int, int]) -> None:
        if self.size is not None and size != self.size:
            sizes = " and ".join(f"{h} x {w}" for h, w in sorted({self.size, size}))
            raise InputError(
                f"data.image_size: images of {self._name} have several sizes ({sizes} pixels, "
                "perhaps more); set it to the pixels a side that they shall become, such as 224"
            )
        self.size = size

    def _kind(self, content: bytes) -> Kind:
        for start, kind in _STARTS.items():
            if content.startswith(start):
                return kind
        raise InputError(
            f"data.dataset: {self._name} holds files that are neither JPEG nor PNG. "
            f"Received: {content[:12]!r}…"
        )
