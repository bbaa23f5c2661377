"""Write the splits as TFRecord shards, shuffled over the whole split.

One permutation of a split is cut into shards. The images of a few shards at a time are read from
data/raw in the order of the files, and written in that of the permutation. Memory: 16 bytes an
image for the permutation, and `ROOM` for images.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quickspine.dataset.prepare.table import NAME, read_split
from quickspine.dataset.records.seeds import derive
from quickspine.dataset.records.tfrecord import records
from quickspine.errors import InputError
from quickspine.files import digest, read_manifest, sha256, whole_folder, write_manifest
from quickspine.parallel import Stop, by_threads, cores
from quickspine.params import SPLITS, Records
from quickspine.sources.storage.manifest import PICTURES
from quickspine.sources.storage.raw import CategoryFile, Raw
from quickspine.space import need_space

ROOM = 128 << 20  # bytes of images that all threads together hold; one shard each at least
PIECE = 1024  # records written at once
FRAMING = 100  # bytes of a picture's record besides the picture, at most


def write(
    params: Records, raw_folder: Path, subset: Path, place: Path, workers: int | None = None
) -> dict[str, Any]:
    """Write `place`: `<split>-00000-of-0000N.tfrecord` and `manifest.json`, whole or not at all.

    Args:
        params: size of a shard, seed of the shuffle.
        raw_folder: what fetch made.
        subset: what preprocess made of it.
        place: the records' folder.
        workers: threads; as many as there are cores by default.

    Returns:
        The manifest; its `digest` names the data in MLflow.

    Raises:
        InputError: if raw folder or subset is damaged, or they do not belong together.
        NoSpaceError: if the disk has no room for it, before anything is written.
    """
    path = subset / "manifest.json"
    source = read_manifest(path, "preprocess")
    raw = Raw(raw_folder, tuple(source["categories"]))
    if digest(raw.manifest) != source["raw"]:
        raise InputError(f"{path}: made of other images than {raw_folder} holds; run: dvc repro")
    table = subset / NAME
    if not table.is_file() or sha256(table) != source["images"]["sha256"]:
        raise InputError(f"{table}: missing or damaged; run: dvc repro -f preprocess")
    size = _record_bytes(raw)
    total = sum(source["splits"][split]["drawings"] for split in SPLITS)
    need_space(place, total * size, "lower data.drawings_per_category")
    with whole_folder(place) as folder:
        with closing(by_threads(CategoryFile.check, raw.files, workers)) as checked:
            for _ in checked:
                pass
        splits = {}
        for split in SPLITS:
            shards = _write_split(params, raw, table, folder, split, size, workers or cores())
            splits[split] = {"examples": sum(s["examples"] for s in shards), "shards": shards}
        raw.check_unchanged()
        manifest = {
            **{name: source[name] for name in ("source", "synthetic", "licence", "attribution")},
            "categories": source["categories"],
            "shape": source["shape"],
            "splits": splits,
        }
        if raw.has_pictures:
            manifest["encoding"] = PICTURES
        return write_manifest(folder / "manifest.json", manifest)


def _record_bytes(raw: Raw) -> int:
    """Bytes of a record, on average."""
    if raw.has_pictures:
        size = sum(file.path.stat().st_size for file in raw.files if file.path.exists())
        return size // max(1, sum(raw.rows)) + FRAMING
    return len(records([bytes(raw.pixels)], len(raw.files) - 1)[0])


@dataclass(frozen=True)
class _Shards:
    """Shards to write: names, and images by number, where file follows file."""

    folder: Path
    names: list[str]
    numbers: list[NDArray[np.int64]]
    files: list[CategoryFile]
    starts: NDArray[np.int64]  # the number of each file's first image


def _write_split(
    params: Records, raw: Raw, table: Path, folder: Path, split: str, size: int, workers: int
) -> list[dict[str, Any]]:
    labels, rows = read_split(table, split)
    starts = np.cumsum([0, *raw.rows])
    shuffle = np.random.default_rng(derive(params.seed, "shuffle", split))
    numbers = shuffle.permutation(starts[labels] + rows)
    del labels, rows
    count = max(1, min(len(numbers), round(len(numbers) * size / (params.shard_mebibytes * 2**20))))
    at_once = max(1, ROOM * count // (workers * max(1, len(numbers)) * size))
    shards = np.array_split(numbers, count)
    names = [f"{split}-{number:05d}-of-{count:05d}.tfrecord" for number in range(count)]

    def jobs() -> Iterator[_Shards]:
        for first in range(0, count, at_once):
            own = slice(first, first + at_once)
            yield _Shards(folder, names[own], shards[own], raw.files, starts)

    with closing(by_threads(_write_shards, jobs(), workers)) as written:
        return [entry for entries in written for entry in entries]


def _write_shards(job: _Shards, stop: Stop) -> list[dict[str, Any]]:
    """Write some shards; return their entries in the manifest."""
    numbers = np.concatenate(job.numbers)
    order = np.argsort(numbers)
    edges = np.searchsorted(numbers[order], job.starts)
    made = np.empty(len(numbers), object)
    for label, file in enumerate(job.files):
        places = order[edges[label] : edges[label + 1]]
        images = file.read((numbers[places] - job.starts[label]).tolist(), stop)
        made[places] = records(list(images), label)
    entries, first = [], 0
    for name, own in zip(job.names, job.numbers, strict=True):
        hasher, size, end = hashlib.sha256(), 0, first + len(own)
        with (job.folder / name).open("wb") as file_out:
            for start in range(first, end, PIECE):
                piece = b"".join(made[start : min(start + PIECE, end)].tolist())
                hasher.update(piece)
                size += file_out.write(piece)
        facts = {"file": name, "examples": len(own), "bytes": size}
        entries.append({**facts, "sha256": hasher.hexdigest()})
        first = end
    return entries
