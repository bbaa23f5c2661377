"""Preprocess and tfrecords written plainly: what their fast ways must equal to the byte."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from quickspine.dataset import SPLITS
from quickspine.dataset.prepare.contact_sheet import contact_sheet
from quickspine.dataset.records.seeds import derive
from quickspine.files import digest, read_json, sha256, write_json
from quickspine.params import Params

FACTS = ("source", "synthetic", "licence", "attribution")


def example(image: bytes, label: int) -> bytes:
    """What protobuf makes of a drawing."""
    features = {
        "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image])),
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
    }
    whole = tf.train.Example(features=tf.train.Features(feature=features))
    return bytes(whole.SerializeToString(deterministic=True))


def preprocess(params: Params, raw: Path, place: Path) -> None:
    """Every drawing once, in memory, one by one."""
    manifest, limit = read_json(raw / "manifest.json", "fetch"), params.data.drawings_per_category
    files = {entry["category"]: entry["file"] for entry in manifest["categories"]}
    edges = np.cumsum([getattr(params.split, name) for name in SPLITS])[:-1]
    seen: set[bytes] = set()
    blank = repeated = chosen = 0
    counts: dict[str, dict[str, int]] = {name: {} for name in SPLITS}
    sheet: dict[str, NDArray[np.uint8]] = {}
    for label, category in enumerate(params.data.categories):
        found: list[list[NDArray[np.uint8]]] = [[], [], []]
        for drawing in np.load(raw / files[category])[:limit]:
            chosen += 1
            name = hashlib.blake2b(drawing.tobytes(), digest_size=16).digest()
            if not drawing.any():
                blank += 1
            elif name in seen:
                repeated += 1
            else:
                position = int.from_bytes(name[:8], "little") / np.float64(2**64)
                found[int(np.searchsorted(edges, position, side="right"))].append(drawing)
            seen.add(name)
        for split, drawings in zip(SPLITS, found, strict=True):
            (place / split).mkdir(parents=True, exist_ok=True)
            rows = np.array(drawings, np.uint8).reshape(-1, math.prod(manifest["shape"]))
            np.save(place / split / f"{label:05d}.npy", rows)
            counts[split][category] = len(rows)
            if split == "train":
                sheet[category] = rows[:16].reshape(-1, *manifest["shape"])
    contact_sheet(sheet, place / "contact-sheet.png", 16)
    labels = range(len(params.data.categories))
    written = {**{name: manifest[name] for name in (*FACTS, "shape", "encoding")}}
    written |= {"categories": list(params.data.categories), "chosen": chosen}
    written |= {"blank": blank, "duplicates": repeated}
    written["splits"] = {
        split: {
            "drawings": sum(counts[split].values()),
            "categories": counts[split],
            "sha256": digest([sha256(place / split / f"{label:05d}.npy") for label in labels]),
        }
        for split in SPLITS
    }
    write_json(place / "manifest.json", written)


def records(mebibytes: float, seed: int, subset: Path, place: Path) -> None:
    """A mask a shard, a call of TensorFlow's writer a drawing."""
    source = read_json(subset / "manifest.json", "preprocess")
    place.mkdir()
    splits = {}
    largest = len(example(bytes(math.prod(source["shape"])), len(source["categories"]) - 1)) + 16
    for split in SPLITS:
        total = source["splits"][split]["drawings"]
        count = max(1, min(total, round(total * largest / (mebibytes * 2**20))))
        dealt: list[list[tuple[bytes, int]]] = [[] for _ in range(count)]
        for label, category in enumerate(source["categories"]):
            drawings = np.load(subset / split / f"{label:05d}.npy")
            random = np.random.default_rng(derive(seed, "deal", split, category))
            numbers = random.integers(count, size=len(drawings))
            for number in range(count):
                dealt[number] += [(d.tobytes(), label) for d in drawings[numbers == number]]
        shards: list[dict[str, Any]] = []
        for number, rows in enumerate(dealt):
            path = place / f"{split}-{number:05d}-of-{count:05d}.tfrecord"
            order = np.random.default_rng(derive(seed, "shard", split, number))
            with tf.io.TFRecordWriter(str(path)) as writer:
                for index in order.permutation(len(rows)):
                    writer.write(example(*rows[index]))
            facts = {"file": path.name, "examples": len(rows), "bytes": path.stat().st_size}
            shards.append({**facts, "sha256": sha256(path)})
        splits[split] = {"examples": total, "shards": shards}
    manifest = {name: source[name] for name in FACTS}
    manifest |= {"categories": source["categories"], "shape": source["shape"]}
    manifest["splits"] = splits
    manifest["digest"] = digest(manifest)
    write_json(place / "manifest.json", manifest)
