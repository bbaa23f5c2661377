"""Write pictures as TFRecord shards: the files as they came, shuffled over the whole split."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from quickspine.dataset.records.example import around
from quickspine.dataset.records.flushing import Flushing
from quickspine.dataset.records.layout import LENGTH, TAIL, masked
from quickspine.dataset.records.seeds import derive
from quickspine.errors import InputError
from quickspine.files import digest, sha256
from quickspine.parallel import Stop, by_threads, go_on
from quickspine.params import Records
from quickspine.sources.storage.pictures import opened
from quickspine.sources.storage.writing import many_files
from quickspine.space import need_space

FRAMING = 100  # bytes of a record besides its picture, at most


def check_space(subset: Path, place: Path) -> None:
    """Raises NoSpaceError where the disk has no room for the records."""
    total = sum(path.stat().st_size for path in subset.glob("*/*.zip"))
    need_space(place, total, "lower data.drawings_per_category")


def write_split(
    params: Records,
    subset: Path,
    folder: Path,
    split: str,
    source: dict[str, Any],
    workers: int | None,
    flushing: Flushing,
) -> list[dict[str, Any]]:
    """Write the shards of a split; return their entries in the manifest.

    Every picture takes a place in one permutation of the split, which the shards cut into ranges.

    Raises:
        InputError: if it is not what preprocess wrote.
    """
    counts = source["splits"][split]["categories"]
    rows = [int(counts[category]) for category in source["categories"]]
    paths = [subset / split / f"{label:05d}.zip" for label in range(len(rows))]
    sums = [sha256(path) if path.is_file() else "" for path in paths]
    if digest(sums) != source["splits"][split]["sha256"]:
        raise InputError(
            f"{subset / split}: not the drawings that were written; run: dvc repro -f preprocess"
        )
    total = sum(rows)
    size = sum(path.stat().st_size for path in paths) + total * FRAMING
    count = max(1, min(total, round(size / (params.shard_mebibytes * 2**20))))
    order = np.random.default_rng(derive(params.seed, "shuffle", split)).permutation(total)
    many_files(len(paths))
    with ExitStack() as stack:
        archives = [
            stack.enter_context(opened(path, number, "preprocess"))
            for path, number in zip(paths, rows, strict=True)
        ]
        pile = _Pile(archives, np.concatenate([[0], np.cumsum(rows)]))
        jobs = (
            _Shard(folder / f"{split}-{number:05d}-of-{count:05d}.tfrecord", pile, chosen)
            for number, chosen in enumerate(np.array_split(order, count))
        )
        with closing(by_threads(_write_shard, jobs, workers)) as written:
            return list(_flushed(written, folder, flushing))


def _flushed(
    written: Iterator[dict[str, Any]], folder: Path, flushing: Flushing
) -> Iterator[dict[str, Any]]:
    for entry in written:
        flushing.add(folder / entry["file"])
        yield entry


@dataclass(frozen=True)
class _Pile:
    """All pictures of a split: number `starts[label] + row` is a row of a label's archive."""

    archives: list[zipfile.ZipFile]
    starts: NDArray[np.int64]

    def record(self, number: int) -> bytes:
        """The record of a picture."""
        label = int(np.searchsorted(self.starts, number, side="right")) - 1
        archive = self.archives[label]
        name = archive.infolist()[number - int(self.starts[label])].filename
        content = archive.read(name)
        before, behind = around(label, len(content))
        return record(before + content + behind)


@dataclass(frozen=True)
class _Shard:
    """A shard to write: these pictures in this order."""

    place: Path
    pile: _Pile
    chosen: NDArray[np.int64]


def record(content: bytes) -> bytes:
    """The content of a record with its length and checksums around it."""
    length = LENGTH.pack(len(content))
    sums = np.array([google_crc32c.value(length), google_crc32c.value(content)], np.uint32)
    ends: bytes = masked(sums).astype("<u4").tobytes()
    return length + ends[:TAIL] + content + ends[TAIL:]


def _write_shard(job: _Shard, stop: Stop) -> dict[str, Any]:
    hasher, size = hashlib.sha256(), 0
    with job.place.open("wb") as file:
        for number in job.chosen.tolist():
            go_on(stop)
            written = job.pile.record(number)
            hasher.update(written)
            size += file.write(written)
    return {
        "file": job.place.name,
        "examples": len(job.chosen),
        "bytes": size,
        "sha256": hasher.hexdigest(),
    }
