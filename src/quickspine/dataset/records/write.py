"""Write the splits as TFRecord shards, shuffled over the whole split."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quickspine.dataset import SPLITS
from quickspine.dataset.records import picture_records
from quickspine.dataset.records.flushing import Flushing
from quickspine.dataset.records.framing import framed, record_bytes
from quickspine.dataset.records.seeds import derive
from quickspine.dataset.records.shard_buffer import Pile
from quickspine.errors import InputError
from quickspine.files import digest, read_json, whole_folder, write_json
from quickspine.parallel import Stop, by_threads, cores, go_on
from quickspine.params import Records
from quickspine.sources.storage.drawings import Drawings
from quickspine.sources.storage.manifest import FACTS, PICTURES, facts_of, pixels_of
from quickspine.space import need_space

CHUNK = 2048  # drawings framed at once, so few that they stay in the processor's cache
ROOM = 256 << 20  # bytes that all threads together may have in drawings that are being dealt
A_SHARD = 64  # drawings that a thread deals to a shard at once, where `ROOM` allows
DEALT = 8192  # drawings that it deals at once at least
PACKED_FROM = 100_000  # drawings: with fewer, to compile takes longer than it saves

Make = Callable[[NDArray[Any], NDArray[np.int64]], bytes | memoryview]  # records, of rows of a pile


def write(params: Records, subset: Path, place: Path, workers: int | None = None) -> dict[str, Any]:
    """Write `place`: `<split>-00000-of-0000N.tfrecord` and `manifest.json`, whole or not at all.

    Each drawing is dealt to a random shard, and each shard is shuffled by itself: together a
    uniform shuffle of the split, in the memory of one shard a thread.

    Args:
        params: size of a shard, seed of the shuffle.
        subset: what preprocess made.
        place: the records' folder.
        workers: threads; as many as there are cores, and as memory allows, by default.

    Returns:
        The manifest; its `digest` names the data in MLflow.

    Raises:
        InputError: if the subset is damaged.
        NoSpaceError: if the disk has no room for it, before anything is written.
    """
    source = _source(subset / "manifest.json")
    pictures = source["encoding"] == PICTURES
    write_split = picture_records.write_split if pictures else _write_split
    if pictures:
        picture_records.check_space(subset, place)
    else:
        _check_space(source, place)
    with whole_folder(place) as folder:
        splits = {}
        with Flushing() as flushing:
            for split in SPLITS:
                shards = write_split(params, subset, folder, split, source, workers, flushing)
                splits[split] = {"examples": sum(s["examples"] for s in shards), "shards": shards}
        manifest = {
            **{name: source[name] for name in FACTS if name not in ("shape", "encoding")},
            "categories": source["categories"],
            "shape": source["shape"],
            "splits": splits,
        }
        if pictures:
            manifest["encoding"] = PICTURES
        manifest["digest"] = digest(manifest)
        write_json(folder / "manifest.json", manifest)
    return manifest


def _source(path: Path) -> dict[str, Any]:
    """What preprocess made, with everything in it that is needed here."""
    source: dict[str, Any] = read_json(path, "preprocess")
    try:
        facts_of(source)
        for split in SPLITS:
            counts = source["splits"][split]["categories"]
            total = sum(counts[category] for category in source["categories"])
            _ = str(source["splits"][split]["sha256"])
            if source["splits"][split]["drawings"] != total:
                raise ValueError(f"the categories of {split} do not sum to its drawings")
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: damaged ({error!r:.200}); run: dvc repro -f preprocess"
        ) from None
    return source


def _check_space(source: dict[str, Any], place: Path) -> None:
    """A drawing takes a record; before that, as many bytes in the pile it is dealt to.

    A shard is read and cut off the pile before it is written: both are never there at once.
    """
    total = sum(int(source["splits"][split]["drawings"]) for split in SPLITS)
    need_space(place, total * _record(source), "lower data.drawings_per_category")


def _record(source: dict[str, Any]) -> int:
    """Bytes of a record at most: pixels, label and framing."""
    return record_bytes(pixels_of(source), len(source["categories"]) - 1)


def _write_split(
    params: Records,
    subset: Path,
    folder: Path,
    split: str,
    source: dict[str, Any],
    workers: int | None,
    flushing: Flushing,
) -> list[dict[str, Any]]:
    total, size = int(source["splits"][split]["drawings"]), _record(source)
    count = max(1, min(total, round(total * size / (params.shard_mebibytes * 2**20))))
    workers = workers or max(1, min(cores(), ROOM // (max(1, -(-total // count)) * size)))
    deal = _Deal(params.seed, subset / split, split, count, source)
    shards, make = {}, _way(source)
    with Pile(folder / f"dealt-{split}", deal.pixels, deal.sizes()) as pile:
        _deal(deal, pile, workers)
        taking = (_Shard(params.seed, split, count, folder, pile, make) for _ in range(count))
        with closing(by_threads(_write_shard, taking, workers)) as written:
            for number, shard in written:
                shards[number] = shard
                flushing.add(folder / shard["file"])
    return [shards[number] for number in range(count)]


@dataclass(frozen=True)
class _Deal:
    """Which shard each drawing of a split is dealt to: a function of the seed and its place."""

    seed: int
    folder: Path
    split: str
    count: int  # shards
    source: dict[str, Any]

    @property
    def pixels(self) -> int:
        return pixels_of(self.source)

    def rows(self, category: str) -> int:
        """Drawings of a category."""
        return int(self.source["splits"][self.split]["categories"][category])

    def shards(self, category: str, size: int) -> Iterator[NDArray[Any]]:
        """The shard of each drawing of a category, `size` at a time; the same for any `size`."""
        random = np.random.default_rng(derive(self.seed, "deal", self.split, category))
        narrow = np.min_scalar_type(self.count)  # 16 bits are sorted ten times faster than 64
        for start in range(0, self.rows(category), size):
            drawn = random.integers(self.count, size=min(size, self.rows(category) - start))
            yield drawn.astype(narrow)

    def sizes(self, category: str | None = None) -> NDArray[np.int64]:
        """Drawings dealt to each shard, of a category or of all, int64 [count]."""
        found = np.zeros(self.count, np.int64)
        for name in self.source["categories"] if category is None else [category]:
            for shards in self.shards(name, DEALT):
                found += np.bincount(shards, minlength=self.count)
        return found


@dataclass(frozen=True)
class _Category:
    """A category to deal: `following` is the row that its first drawing in each shard takes."""

    deal: _Deal
    label: int
    pile: Pile
    following: NDArray[np.int64]
    at_once: int  # drawings


def _deal(deal: _Deal, pile: Pile, workers: int) -> None:
    """Deal all categories, after one another in each shard; hash what is dealt.

    Raises:
        InputError: if it is not what preprocess wrote.
    """
    room = ROOM // (2 * workers * pile.row.itemsize)
    at_once = max(DEALT, min(room, A_SHARD * deal.count))

    def jobs() -> Iterator[_Category]:
        following = pile.starts[:-1].copy()
        for label, category in enumerate(deal.source["categories"]):
            yield _Category(deal, label, pile, following.copy(), at_once)
            following += deal.sizes(category)

    with closing(by_threads(_deal_category, jobs(), workers)) as sums:
        if digest(list(sums)) != deal.source["splits"][deal.split]["sha256"]:
            raise InputError(
                f"{deal.folder}: not the drawings that were written; run: dvc repro -f preprocess"
            )


def _deal_category(job: _Category, stop: Stop) -> str:
    """Deal the drawings of a category; return the sha256 of their file."""
    deal, name = job.deal, job.deal.source["categories"][job.label]
    path = deal.folder / f"{job.label:05d}.npy"
    file = Drawings(path, deal.rows(name), deal.pixels, "preprocess")
    hasher = hashlib.sha256(file.header())
    chunks = file.chunks(job.at_once)
    for drawings, shards in zip(chunks, deal.shards(name, job.at_once), strict=True):
        go_on(stop)
        hasher.update(drawings.data)
        job.pile.deal(job.label, drawings, shards, job.following)
    return hasher.hexdigest()


@dataclass(frozen=True)
class _Shard:
    """A shard to write: the next one of the pile, whichever that is."""

    seed: int
    split: str
    count: int
    folder: Path
    pile: Pile
    make: Make


def _way(source: dict[str, Any]) -> Make:
    """How to make records of so many drawings."""
    if sum(int(source["splits"][split]["drawings"]) for split in SPLITS) >= PACKED_FROM:
        from quickspine.dataset.records import (
            packing,  # the compiler is not loaded where it does not pay
        )

        if packing.can_pack():
            return packing.packed
    return lambda rows, chosen: framed(rows["pixels"][chosen], rows["label"][chosen])


def _write_shard(job: _Shard, stop: Stop) -> tuple[int, dict[str, Any]]:
    """Shuffle a shard and write it; return its number and its entry in the manifest."""
    number, rows = job.pile.take()
    random = np.random.default_rng(derive(job.seed, "shard", job.split, number))
    order = random.permutation(len(rows))
    name = f"{job.split}-{number:05d}-of-{job.count:05d}.tfrecord"
    hasher, size = hashlib.sha256(), 0
    with (job.folder / name).open("wb") as file:
        for start in range(0, len(rows), CHUNK):
            go_on(stop)
            chosen = order[start : start + CHUNK]
            records = job.make(rows, chosen)
            hasher.update(records)
            size += file.write(records)
    entry = {"file": name, "examples": len(rows), "bytes": size, "sha256": hasher.hexdigest()}
    return number, entry
