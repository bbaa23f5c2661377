"""`fetch` from a source of files, as the stage does it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from quickspine import sources
from quickspine.errors import InputError
from tests.conftest import MakeParams

EVERYTHING = {"categories": None, "drawings_per_category": None, "image_size": None}
DIGEST = 64  # characters


def fetch(make_params: MakeParams, place: Path, source: str, **data: Any) -> dict[str, Any]:
    """The manifest of what was fetched into `place`: all there is, but for `data`."""
    values = {"source": source, **EVERYTHING, **data}
    params = make_params({f"data.{key}": value for key, value in values.items()})
    manifest = sources.fetch(params.data, place)
    for label, entry in enumerate(manifest["categories"]):
        suffix = "npy" if manifest["encoding"] == "raw" else "zip"
        assert entry["file"] == f"{label:05d}.{suffix}"
        assert entry["bytes"] == (place / entry["file"]).stat().st_size
        assert len(entry["sha256"]) == DIGEST
        if "splits" in entry:
            assert sum(entry["splits"].values()) == entry["rows"]
    return manifest


def refused(make_params: MakeParams, place: Path, source: str, **data: Any) -> str:
    """What the user is told where nothing is fetched; what was there before is all there is."""
    before = place.exists()
    with pytest.raises(InputError) as caught:
        fetch(make_params, place, source, **data)
    assert place.exists() == before
    assert not list(place.parent.glob(".partial-*"))
    return str(caught.value)


def images(place: Path, manifest: dict[str, Any], category: str) -> NDArray[np.uint8]:
    """The raw images of a category, uint8 [rows, height, width, channels]."""
    entry = next(each for each in manifest["categories"] if each["category"] == category)
    table: NDArray[np.uint8] = np.load(place / entry["file"])
    assert len(table) == entry["rows"]
    return table.reshape(-1, *manifest["shape"])
