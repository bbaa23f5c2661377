"""Find the image, the label and the splits of a data set of tensorflow-datasets, and read them."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quickspine.errors import InputError
from quickspine.parallel import cores

SMALL = 96  # pixels a side; images of one fixed shape up to this are kept as pixels
BLOCK = 256  # images read at once
FILES = 16  # files read at once: they may be large

# Cohen et al., "EMNIST: an extension of MNIST to handwritten letters", 2017, section II: digits,
# capitals, small letters; in the merged sets these fifteen have one class for both cases.
_DIGITS, _CAPITALS = "0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_MERGED = "CIJKLMOPSUVWXYZ"
_APART = "".join(letter.lower() for letter in _CAPITALS if letter not in _MERGED)
_EMNIST = {
    "byclass": _DIGITS + _CAPITALS + _CAPITALS.lower(),
    "bymerge": _DIGITS + _CAPITALS + _APART,
    "balanced": _DIGITS + _CAPITALS + _APART,
    "digits": _DIGITS,
    "mnist": _DIGITS,
}


@dataclass(frozen=True)
class Content:
    """A data set, and where images and labels are in its examples.

    Attributes:
        tfds: what `start_tfds` yields.
        builder: of the data set.
        image: key of the image.
        label: key of the label.
        names: category to label, in the order of labels.
        shape: height and width, None where they vary, and channels.
    """

    tfds: Any
    builder: Any
    image: str
    label: str
    names: dict[str, int]
    shape: tuple[int | None, int | None, int]

    @property
    def full_name(self) -> str:
        """Name, configuration and version."""
        return str(self.builder.info.full_name)

    @property
    def fixed(self) -> bool:
        """Whether all images have one small shape."""
        return all(side is not None and side <= SMALL for side in self.shape[:2])

    @property
    def splits(self) -> dict[str, str]:
        """Our splits to the data set's, as `select_splits` chooses them."""
        labelled = {name: self._has_labels(name) for name in self.builder.info.splits}
        return select_splits(labelled, self.full_name)

    def read_split(self, split: str, as_files: bool) -> Iterator[tuple[NDArray[np.int64], Any]]:
        """Yield labels, int64 [n], and n images, always in the same order.

        Images are uint8 [n, height, width, channels], of one size in a block (where sizes vary, a
        block is one image); or the bytes of JPEG and PNG files. EMNIST's are turned upright.

        Raises:
            InputError: if a record is damaged.
        """
        decoders = {self.image: self.tfds.decode.SkipDecoding()} if as_files else {}
        block = FILES if as_files else BLOCK if None not in self.shape else 1
        examples = self._examples(split, {self.image: True, self.label: True}, decoders)
        errors = importlib.import_module("tensorflow").errors
        try:
            for example in examples.batch(block).as_numpy_iterator():
                images = example[self.image]
                if self.builder.name == "emnist":  # x and y have changed places
                    images = images.swapaxes(1, 2)
                yield example[self.label], list(images) if as_files else images
        except (errors.DataLossError, errors.InvalidArgumentError, errors.NotFoundError) as error:
            first = re.sub(r"\{\{.*?\}\} ?", "", error.message).partition("\n")[0][:300]
            raise InputError(
                f"{self.builder.data_dir}: damaged ({first}); remove it and run this again: it is "
                "prepared anew"
            ) from None

    def _has_labels(self, split: str) -> bool:
        """Whether a split has images with labels, by the first one."""
        if not self.builder.info.splits[split].num_examples:
            return False
        examples = self._examples(split, {self.label: True}, {})
        return any(int(each[self.label]) >= 0 for each in examples.take(1).as_numpy_iterator())

    def _examples(self, split: str, keys: dict[str, Any], decoders: dict[str, Any]) -> Any:
        options = importlib.import_module("tensorflow").data.Options()
        options.autotune.enabled = False  # it stalls at the end of a split
        options.deterministic = True
        config = self.tfds.ReadConfig(
            options=options,
            try_autocache=False,
            interleave_cycle_length=1,  # one file after the other
            num_parallel_calls_for_decode=cores(),
            num_parallel_calls_for_interleave_files=1,
        )
        return self.builder.as_dataset(
            split=split,
            shuffle_files=False,
            decoders=self.tfds.decode.PartialDecoding(keys, decoders=decoders),
            read_config=config,
        )

    @property
    def attribution(self) -> str:
        """Who made the data set, by what it says of itself."""
        info = self.builder.info
        match = re.search(r"\btitle\s*=\s*[{\"]+(.+?)[}\"]+\s*(,|\n|$)", info.citation or "", re.S)
        title = " ".join(match[1].replace("{", "").replace("}", "").split()) if match else info.name
        place = f" ({info.homepage})" if info.homepage else ""
        return f"{title}{place}, by tensorflow-datasets as {self.full_name}"

    @property
    def licence(self) -> str | None:
        """The data set's licence where tfds knows it."""
        info = self.builder.info.redistribution_info
        return str(getattr(info, "license", "") or "") or None


def examine(tfds: Any, builder: Any) -> Content:
    """Find the image and the label of a builder's examples.

    Raises:
        InputError: if they are not one image of 1 or 3 channels of uint8, and one label.
    """
    features, full = builder.info.features, builder.info.full_name
    parts = dict(features.items()) if isinstance(features, tfds.features.FeaturesDict) else {}
    # By type, not by class: a bounding box or a video is none.
    images = [key for key, part in parts.items() if type(part) is tfds.features.Image]
    labels = [key for key, part in parts.items() if type(part) is tfds.features.ClassLabel]
    keys = builder.info.supervised_keys
    if keys is not None and len(keys) == 2:
        images = [key for key in images if key == keys[0]] or images
        labels = [key for key in labels if key == keys[1]] if len(labels) > 1 else labels
        if keys[1] not in labels:
            labels = []  # what is to be learnt is something else: boxes, or several labels
    if len(images) != 1 or len(labels) != 1:
        held = ", ".join(f"{key} ({type(part).__name__})" for key, part in parts.items())
        raise InputError(
            f"data.dataset: {full} is no image classification: one Image with one ClassLabel is "
            f"needed; choose another builder. Received: {held or type(features).__name__}"
        )
    image, label = images[0], labels[0]
    height, width, channels = parts[image].shape
    kind = getattr(parts[image].np_dtype, "__name__", str(parts[image].np_dtype))
    if channels not in (1, 3) or kind != "uint8":
        raise InputError(
            f"data.dataset: {full}: images of 1 or 3 channels of uint8 are needed; choose another "
            f"builder. Received: {channels} channels of {kind}"
        )
    names = _names(builder, parts[label])
    return Content(tfds, builder, image, label, names, (height, width, channels))


def _names(builder: Any, label: Any) -> dict[str, int]:
    config = builder.builder_config.name if builder.builder_config else ""
    if builder.name == "emnist" and config == "letters":
        # 37 labels, of which 1 to 26 occur, for both cases of a letter
        return {letter: number for number, letter in enumerate(_CAPITALS.lower(), 1)}
    if builder.name == "emnist" and label.num_classes == len(_EMNIST.get(config, "")):
        return {letter: number for number, letter in enumerate(_EMNIST[config])}
    if label.num_classes is None:
        raise InputError(
            f"data.dataset: {builder.info.full_name} says of its labels neither names nor how many"
        )
    return {name: number for number, name in enumerate(label.names)}


def select_splits(found: dict[str, bool], full: str) -> dict[str, str]:
    """Return which of a data set's splits are used, and as what.

    Args:
        found: its splits, and whether their images have labels.
        full: its name, for messages.

    Returns:
        Ours to theirs, in the order train, validation, test; "" alone: it has one split only, so
        preprocess splits the images. A validation split is the test split where no other is.

    Raises:
        InputError: if no split has labels, or it has several but none to train on.
    """
    labelled = [name for name, labels in found.items() if labels]
    if len(labelled) == 1:
        return {"": labelled[0]}
    if "train" not in labelled:
        raise InputError(
            f"data.dataset: {full}: no split with labels to train on. Received: "
            f"{', '.join(sorted(found)) or 'no splits'}"
        )
    if "test" in labelled:
        order = ("train", "validation", "test")
        return {name: name for name in order if name in labelled}
    if "validation" in labelled:
        return {"train": "train", "test": "validation"}
    return {"": "train"}
