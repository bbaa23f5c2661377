"""What an image's content alone decides: its identity, its split, and which images are equal."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from quickspine.parallel import Stop, by_threads
from quickspine.params import SPLITS, Split
from quickspine.sources.storage.raw import CategoryFile

DIGEST_BYTES = 16  # 128 bits: no two of a billion different images share one by chance
A_JOB = 16_384  # images
SORTED_AT_ONCE = 4_000_000  # digests: 100 MB


def digests(contents: Iterable[bytes]) -> NDArray[np.uint64]:
    """The BLAKE2b digest of each image, uint64 [n, 2]; the first word decides the split."""
    hashes = map(partial(hashlib.blake2b, digest_size=DIGEST_BYTES), contents)
    joined = b"".join([one.digest() for one in hashes])
    return np.frombuffer(joined, "<u8").reshape(-1, 2).astype(np.uint64, copy=False)


def digests_of_files(
    files: Sequence[CategoryFile], rows: Sequence[int], workers: int | None = None
) -> NDArray[np.uint64]:
    """Check each file, then digest its first `rows` images; 16 bytes of memory an image.

    Returns:
        uint64 [sum of rows, 2], in the order of the files.

    Raises:
        InputError: if a file is not what was fetched, before any digest of its images.
    """
    content = np.empty((sum(rows), 2), np.uint64)
    done = 0
    with closing(by_threads(_work, _jobs(files, rows), workers)) as parts:
        for part in parts:
            content[done : done + len(part)] = part
            done += len(part)
    return content


@dataclass(frozen=True)
class _Job:
    """Images to digest; or, without any, a file to check."""

    file: CategoryFile
    rows: range


def _jobs(files: Sequence[CategoryFile], rows: Sequence[int]) -> Iterator[_Job]:
    for file, count in zip(files, rows, strict=True):
        yield _Job(file, range(0))
        for start in range(0, count, A_JOB):
            yield _Job(file, range(start, min(start + A_JOB, count)))


def _work(job: _Job, stop: Stop) -> NDArray[np.uint64]:
    if not job.rows:
        job.file.check(stop)
        return np.empty((0, 2), np.uint64)
    return digests(job.file.read(job.rows, stop))


def split_of(content: NDArray[np.uint64], split: Split) -> NDArray[np.uint8]:
    """The split of each image: an index into `SPLITS`, decided by its content alone.

    So adding images moves none from one split to another, and equal images share a split.

    Args:
        content: uint64 [n, 2], digests.
        split: the shares.
    """
    edges = np.cumsum([getattr(split, name) for name in SPLITS])[:-1]
    return np.searchsorted(edges, position(content), side="right").astype(np.uint8)


def position(content: NDArray[np.uint64]) -> NDArray[np.float64]:
    """A number from 0 to 1 for each digest, uniform over all images."""
    return content[:, 0] / np.float64(2**64)


def repeats(
    content: NDArray[np.uint64], ranks: NDArray[np.uint8] | None = None
) -> NDArray[np.bool_]:
    """Which images equal another that comes first, by rank and then by order; bool [n].

    Sorted a part at a time: images whose digests begin with the same bits.

    Args:
        content: uint64 [n, 2], digests.
        ranks: uint8 [n]; of equal images, the one of the lowest rank comes first. None: equal.
    """
    found = np.zeros(len(content), bool)
    bits = (len(content) // SORTED_AT_ONCE).bit_length()
    part_of = (content[:, 0] >> np.uint64(64 - bits)) if bits else np.zeros(len(content), np.uint64)
    part_of = part_of.astype(np.uint16)
    for part in range(1 << bits):
        numbers = np.flatnonzero(part_of == part)
        numbers = numbers[_shared(content[numbers, 0])]
        own = content[numbers]
        rank = np.zeros(len(numbers)) if ranks is None else ranks[numbers]
        order = np.lexsort((numbers, rank, own[:, 1], own[:, 0]))
        equal = (own[order[1:]] == own[order[:-1]]).all(axis=1)
        found[numbers[order[1:]][equal]] = True
    return found


def _shared(words: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which words occur more than once: few, so the others need no full sort."""
    order = np.argsort(words)
    same = words[order[1:]] == words[order[:-1]]
    found = np.zeros(len(words), bool)
    found[order[1:][same]] = found[order[:-1][same]] = True
    return found
