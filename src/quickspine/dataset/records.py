"""Write the splits as TFRecord shards, shuffled over the whole split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from quickspine.dataset import SPLITS
from quickspine.dataset.example import Serialiser
from quickspine.dataset.raw import CHUNK, FACTS, Drawings, facts_of, split_digest
from quickspine.errors import WrongInputError
from quickspine.files import digest, read_json, sha256, whole_folder, write_json
from quickspine.params import Records
from quickspine.randomness import derive
from quickspine.space import need_space

FRAMING = 16  # bytes TFRecord adds to a record: its length and two checksums


def write(params: Records, subset: Path, place: Path) -> dict[str, Any]:
    """Write `place`: `<split>-00000-of-0000N.tfrecord` and `manifest.json`, whole or not at all.

    Each drawing is dealt to a random shard, and each shard is shuffled by itself: together a
    uniform shuffle of the split in the memory of one shard.

    Args:
        params: size of a shard, seed of the shuffle.
        subset: what preprocess made.
        place: the records' folder.

    Returns:
        The manifest; its `digest` names the data in MLflow.

    Raises:
        WrongInputError: if the subset is damaged.
        NoSpaceError: if the disk has no room for it, before anything is written.
    """
    source = _source(subset / "manifest.json")
    _check_space(source, place)
    with whole_folder(place) as folder:
        splits = {}
        for split in SPLITS:
            shards = _write_split(params, subset, folder, split, source)
            splits[split] = {"examples": sum(s["examples"] for s in shards), "shards": shards}
        manifest = {
            **{name: source[name] for name in FACTS if name != "side"},
            "categories": source["categories"],
            "shape": [source["side"], source["side"], 1],
            "splits": splits,
        }
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
        raise WrongInputError(
            f"{path}: damaged ({error!r:.200}); run: dvc repro -f preprocess"
        ) from None
    return source


def _check_space(source: dict[str, Any], place: Path) -> None:
    """A drawing takes a record; before that, as many bytes in the pile it is dealt to.

    A pile is read and removed before its shard is written: both are never there at once.
    """
    total = sum(int(source["splits"][split]["drawings"]) for split in SPLITS)
    need_space(place, total * _record(source), "lower data.drawings_per_category")


def _record(source: dict[str, Any]) -> int:
    """Bytes of a record at most: pixels, label and framing."""
    pixels = np.zeros(int(source["side"]) ** 2, np.uint8)
    return len(Serialiser(pixels.size)(pixels, len(source["categories"]) - 1)) + FRAMING


def _write_split(
    params: Records, subset: Path, folder: Path, split: str, source: dict[str, Any]
) -> list[dict[str, Any]]:
    pixels = int(source["side"]) ** 2
    total = int(source["splits"][split]["drawings"])
    serialise = Serialiser(pixels)
    count = max(1, min(total, round(total * _record(source) / (params.shard_mebibytes * 2**20))))
    row = np.dtype([("label", "<u4"), ("image", "u1", (pixels,))])
    dealt = [folder / f"dealt-{number:05d}" for number in range(count)]
    _deal(params, subset, split, source, row, dealt)
    if split_digest(subset / split, len(source["categories"])) != source["splits"][split]["sha256"]:
        raise WrongInputError(
            f"{subset / split}: not the drawings that were written; run: dvc repro -f preprocess"
        )
    shards = []
    for number, path in enumerate(dealt):
        rows = np.fromfile(path, row)
        path.unlink()
        order = np.random.default_rng(derive(params.seed, "shard", split, number))
        name = f"{split}-{number:05d}-of-{count:05d}.tfrecord"
        with tf.io.TFRecordWriter(str(folder / name)) as writer:
            for index in order.permutation(len(rows)):
                writer.write(serialise(rows["image"][index], int(rows["label"][index])))
        size = (folder / name).stat().st_size
        shard = {"file": name, "examples": len(rows), "bytes": size}
        shards.append({**shard, "sha256": sha256(folder / name)})
    return shards


def _deal(
    params: Records,
    subset: Path,
    split: str,
    source: dict[str, Any],
    row: np.dtype[Any],
    dealt: list[Path],
) -> None:
    """Append each drawing of a split to the file of its shard."""
    for path in dealt:
        path.touch()
    pixels = int(source["side"]) ** 2
    for label, category in enumerate(source["categories"]):
        path = subset / split / f"{label:05d}.npy"
        count = source["splits"][split]["categories"][category]
        file = Drawings(path, count, pixels, "preprocess")
        random = np.random.default_rng(derive(params.seed, "deal", split, category))
        for drawings in file.chunks(CHUNK):
            rows = np.empty(len(drawings), row)
            rows["label"], rows["image"] = label, drawings
            shard = random.integers(len(dealt), size=len(rows))
            for number in np.unique(shard):
                with dealt[number].open("ab") as pile:
                    pile.write(rows[shard == number].tobytes())
