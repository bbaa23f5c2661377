"""Splits that a source has of its own: kept, and what they leave open decided by content."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from quickspine.dataset import SPLITS
from quickspine.dataset.prepare.content import split_of
from quickspine.params import Split
from quickspine.sources.storage.category_file import CategoryFile

TRAIN, VALIDATION, TEST = range(len(SPLITS))
RANKS = np.array([3, 2, 1], np.uint64)  # by split of the source: of equal images the lowest stays
ALWAYS = 1  # the rank of images that stay whatever else equals them


class Assignment:
    """Decides the split of each image, in the order of the files.

    Without a test split of the source's own, content decides, by the shares. A test split that it
    has is kept whole; where there is no validation split, content takes one out of training, as
    large as the shares of the two say.

    Args:
        files: each with splits of its own, or none.
        limit: images of each file, the first ones; of a source with a test split, all of them.
        split: the shares.
    """

    def __init__(self, files: Sequence[CategoryFile], limit: int, split: Split) -> None:
        counts = np.array([file.given or (0,) * len(SPLITS) for file in files])
        self.own = bool(counts[:, TEST].any())
        self._carve = not counts[:, VALIDATION].any()
        self.rows = [file.rows if self.own else min(file.rows, limit) for file in files]
        self._split = split
        self._ends = np.cumsum(counts)  # of the runs of one split, which follow one another
        self._seen = 0

    def next(self, content: NDArray[np.uint64]) -> tuple[NDArray[np.uint8], NDArray[np.uint64]]:
        """The splits and the ranks of the next images.

        Args:
            content: uint64 [n, 2], their digests.

        Returns:
            uint8 [n], indices into SPLITS; uint64 [n], for `DuplicateFinder.add`.
        """
        if not self.own:
            return split_of(content, self._split), np.full(len(content), ALWAYS + 1, np.uint64)
        numbers = np.arange(self._seen, self._seen + len(content))
        self._seen += len(content)
        runs = np.searchsorted(self._ends, numbers, side="right")
        given = (runs % len(SPLITS)).astype(np.uint8)
        ranks = RANKS[given]
        if self._carve:
            share = self._split.train / (self._split.train + self._split.validation)
            late = content[:, 0] / np.float64(2**64) >= share
            given[(given == TRAIN) & late] = VALIDATION
        return given, ranks
