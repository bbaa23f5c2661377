"""Where images come from: one module a source, with the constants and the function of `Source`.

A new source is one new module `quickspine.sources.<name>`, and its name in `params.data.Source`.
"""

from __future__ import annotations

import importlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, cast

from quickspine.files import whole_folder, write_json
from quickspine.params import Data

Encoding = Literal["raw", "pictures"]


@dataclass(frozen=True)
class Fetched:
    """One category's images, in a file of the raw folder."""

    category: str
    file: str  # its name inside the raw folder
    url: str  # where it came from; of a synthetic source, the program that drew it
    rows: int  # images
    bytes: int  # of the file
    sha256: str  # of the file
    # Images of each split that the source itself has, of train, validation and test, which follow
    # one another in the file in this order; None: it has none, so preprocess splits.
    splits: dict[str, int] | None = None


@dataclass(frozen=True)
class Collection:
    """What a source has written into the raw folder."""

    entries: list[Fetched]
    # Height, width and channels of each image; of pictures: what they become when they are read.
    shape: tuple[int, int, int] = (28, 28, 1)
    encoding: Encoding = "raw"
    licence: str | None = None  # where it is another than the module's LICENCE
    attribution: str | None = None  # and ATTRIBUTION


class Source(Protocol):
    """What a source module offers."""

    SYNTHETIC: bool  # drawn by a program: then every report says so
    LICENCE: str
    ATTRIBUTION: str

    def fetch(self, data: Data, folder: Path) -> Collection:
        """Write one file a category into `folder`.

        Raw: `.npy`, uint8 [rows, height * width * channels] in C order. Pictures: `.zip` of JPEG
        and PNG files as they came. See `quickspine.sources.storage.writing`.

        Returns:
            One `Fetched` a category, in the order of `data.categories`, or of the source's own
            where that is empty.

        Raises:
            InputError: if a category cannot be had as asked for; names it and what would do.
            NoSpaceError: if the disk has too little room, before anything is drawn or travels.
        """


def fetch(data: Data, place: Path) -> dict[str, Any]:
    """Fetch the images of `data` into `place`, whole or not at all.

    Returns:
        The manifest, as in `manifest.json`: source, licence, and a list of categories.
    """
    source = cast(Source, importlib.import_module(f"quickspine.sources.{data.source}"))
    with whole_folder(place) as folder:
        found = source.fetch(data, folder)
        manifest = {
            "source": data.name,
            "synthetic": source.SYNTHETIC,
            "licence": found.licence or source.LICENCE,
            "attribution": found.attribution or source.ATTRIBUTION,
            "shape": list(found.shape),
            "encoding": found.encoding,
            "categories": [
                {key: value for key, value in asdict(entry).items() if value is not None}
                for entry in found.entries
            ],
        }
        write_json(folder / "manifest.json", manifest)
    return manifest
