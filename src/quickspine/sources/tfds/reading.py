"""A prepared data set's images with their labels, a block at a time, always in the same order."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quickspine.errors import InputError
from quickspine.parallel import cores
from quickspine.sources.tfds.content import Content

BLOCK = 256  # images at once; files as they came may be large
_FILES = 16


def has_labels(library: Any, builder: Any, split: str, label: str) -> bool:
    """Whether a split has images whose labels are told: the first one says it for all."""
    if not builder.info.splits[split].num_examples:
        return False
    examples = _examples(library, builder, split, {label: True}, {})
    return any(int(example[label]) >= 0 for example in examples.take(1).as_numpy_iterator())


def pixels(
    library: Any, builder: Any, split: str, content: Content
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
    """Yield labels, int64 [n], and images, uint8 [n, height, width, channels], as they are drawn.

    Those of one block are of one size; where sizes vary, a block is one image.

    Raises:
        InputError: if a record is damaged.
    """
    keys = {content.image: True, content.label: True}
    examples = _examples(library, builder, split, keys, {})
    # What varies cannot be put together before it is known to be equal.
    block = BLOCK if None not in content.shape else 1
    for example in _guarded(builder, examples.batch(block)):
        images = example[content.image]
        yield example[content.label], images.swapaxes(1, 2) if content.transposed else images


def files(
    library: Any, builder: Any, split: str, content: Content
) -> Iterator[tuple[NDArray[np.int64], list[bytes]]]:
    """Yield labels, int64 [n], and the bytes of n image files as they came."""
    keys = {content.image: True, content.label: True}
    as_they_came = {content.image: library.decode.SkipDecoding()}
    examples = _examples(library, builder, split, keys, as_they_came)
    for example in _guarded(builder, examples.batch(_FILES)):
        yield example[content.label], list(example[content.image])


def _examples(
    library: Any, builder: Any, split: str, keys: dict[str, Any], decoders: dict[str, Any]
) -> Any:
    data = importlib.import_module("tensorflow").data
    options = data.Options()
    options.autotune.enabled = False  # it stalls at the end of a split
    options.deterministic = True
    config = library.ReadConfig(
        options=options,
        try_autocache=False,
        interleave_cycle_length=1,  # one file after the other
        num_parallel_calls_for_decode=cores(),
        num_parallel_calls_for_interleave_files=1,
    )
    return builder.as_dataset(
        split=split,
        shuffle_files=False,
        decoders=library.decode.PartialDecoding(keys, decoders=decoders),
        read_config=config,
    )


def _guarded(builder: Any, examples: Any) -> Iterator[Any]:
    errors = importlib.import_module("tensorflow").errors
    try:
        yield from examples.as_numpy_iterator()
    except (errors.DataLossError, errors.InvalidArgumentError, errors.NotFoundError) as error:
        first = re.sub(r"\{\{.*?\}\} ?", "", error.message).partition("\n")[0][:300]
        raise InputError(
            f"{builder.data_dir}: damaged ({first}); remove it and run this again: it is "
            "prepared anew"
        ) from None
