"""The subset's table: which image of data/raw belongs to which split, one row an image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped] # ships no types
import pyarrow.compute as pc  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
from numpy.typing import NDArray

from quickspine.params import SPLITS

NAME = "images.parquet"
GROUP = 1 << 17  # images written at once
ROW_BYTES = 4  # of an image in the file, at most: rows follow one another, so they pack well
SCHEMA = pa.schema(
    [
        ("label", pa.int32()),  # the category's number
        ("row", pa.int64()),  # in the category's file in data/raw
        ("split", pa.dictionary(pa.int8(), pa.string())),
    ]
)


def write_table(path: Path, rows: Sequence[int], splits: NDArray[np.uint8]) -> None:
    """Write the chosen images in their order; the same choice gives the same bytes.

    Args:
        path: the file.
        rows: images of each category's file that were looked at, the first ones.
        splits: for each of them, one file behind the other, an index into `SPLITS`; anything
            larger for those that were left out.
    """
    starts = np.concatenate([[0], np.cumsum(rows)])
    names = pa.array(SPLITS)
    packed = {"use_dictionary": ["split"], "column_encoding": {"row": "DELTA_BINARY_PACKED"}}
    with pq.ParquetWriter(path, SCHEMA, compression="zstd", **packed) as writer:
        for first in range(0, len(splits), GROUP):
            numbers = first + np.flatnonzero(splits[first : first + GROUP] < len(SPLITS))
            labels = np.searchsorted(starts, numbers, side="right") - 1
            columns = [
                pa.array(labels.astype(np.int32)),
                pa.array(numbers - starts[labels]),
                pa.DictionaryArray.from_arrays(pa.array(splits[numbers].astype(np.int8)), names),
            ]
            writer.write_table(pa.table(columns, schema=SCHEMA))


def read_split(path: Path, split: str) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The images of a split in their order: labels, and rows in their categories' files."""
    labels, rows = [np.empty(0, np.int32)], [np.empty(0, np.int64)]
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(GROUP):
            own = batch.filter(pc.equal(batch["split"].cast(pa.string()), split))
            labels.append(own["label"].to_numpy(zero_copy_only=False))
            rows.append(own["row"].to_numpy(zero_copy_only=False))
    return np.concatenate(labels), np.concatenate(rows)
