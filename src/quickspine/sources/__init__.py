"""Where drawings come from: one module a source, one interface for all.

A source is a module `quickspine.sources.<name>` with the constants and the function of `Source`.
A new one is one new file and its name in `params.Data.source`.
"""

from __future__ import annotations

import importlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from quickspine.files import whole_folder, write_json
from quickspine.params import Data


@dataclass(frozen=True)
class Fetched:
    """One category's drawings, in a file of the raw folder."""

    category: str
    file: str  # its name inside the raw folder
    url: str  # where it came from; of a synthetic source, the program that drew it
    rows: int  # drawings
    bytes: int  # of the file
    sha256: str  # of the file


class Source(Protocol):
    """What a source module offers."""

    SYNTHETIC: bool  # drawn by a program: then every report says so
    LICENCE: str
    ATTRIBUTION: str

    def fetch(self, data: Data, folder: Path) -> list[Fetched]:
        """Write one `<category>.npy` (uint8 [rows, 784], C order) a category into `folder`.

        Returns:
            One `Fetched` a category, in the order of `data.categories`.

        Raises:
            WrongInputError: if a category cannot be had as asked for; names it and what would do.
            NoSpaceError: if the disk has too little room, before anything is drawn or travels.
        """


def find(name: str) -> Source:
    """The module of the source `name`."""
    return cast(Source, importlib.import_module(f"quickspine.sources.{name}"))


def fetch(data: Data, place: Path) -> dict[str, Any]:
    """Fetch the drawings of `data` into `place`, whole or not at all.

    Returns:
        What `manifest.json` in `place` holds: source, licence, and a list of categories.
    """
    source = find(data.source)
    with whole_folder(place) as folder:
        entries = source.fetch(data, folder)
        manifest = {
            "source": data.source,
            "synthetic": source.SYNTHETIC,
            "licence": source.LICENCE,
            "attribution": source.ATTRIBUTION,
            "side": 28,
            "categories": [asdict(entry) for entry in entries],
        }
        write_json(folder / "manifest.json", manifest)
    return manifest
