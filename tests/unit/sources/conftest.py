"""`fetch` from the source that a test module names, as the stage does it."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from quickspine import sources
from quickspine.errors import InputError
from tests.conftest import MakeParams

DIGEST = 64  # characters


@dataclass(frozen=True)
class Fetch:
    """Fetches from `source` into `place`: all there is, but for the params given."""

    make_params: MakeParams
    source: str
    place: Path

    def __call__(self, **data: Any) -> dict[str, Any]:
        """The manifest of what was fetched, whose files are as it says."""
        values = {"categories": None, "drawings_per_category": None, "image_size": None, **data}
        values = {f"data.{key}": value for key, value in values.items()}
        for key in ("data.folder", "data.mirror"):
            values.update({key: str(values[key])} if key in values else {})
        params = self.make_params({"data.source": self.source, **values})
        manifest = sources.fetch(params.data, self.place)
        for label, entry in enumerate(manifest["categories"]):
            suffix = "npy" if manifest["encoding"] == "raw" else "zip"
            assert entry["file"] == f"{label:05d}.{suffix}"
            assert entry["bytes"] == (self.place / entry["file"]).stat().st_size
            assert len(entry["sha256"]) == DIGEST
            if "splits" in entry:
                assert sum(entry["splits"].values()) == entry["rows"]
        return manifest

    def refused(self, **data: Any) -> str:
        """What the user reads where nothing is fetched; what was there before is all there is."""
        before = self.place.exists()
        with pytest.raises(InputError) as caught:
            self(**data)
        assert self.place.exists() == before
        assert not list(self.place.parent.glob(".partial-*"))
        return str(caught.value)

    def images(self, manifest: dict[str, Any], category: str) -> NDArray[np.uint8]:
        """The raw images of a category, uint8 [rows, height, width, channels]."""
        entry = next(each for each in manifest["categories"] if each["category"] == category)
        table: NDArray[np.uint8] = np.load(self.place / entry["file"])
        assert len(table) == entry["rows"]
        return table.reshape(-1, *manifest["shape"])

    def stored(self, manifest: dict[str, Any], label: int) -> dict[str, bytes]:
        """The files of a category by their names in its archive."""
        with zipfile.ZipFile(self.place / manifest["categories"][label]["file"]) as archive:
            return {name: archive.read(name) for name in archive.namelist()}


def names(manifest: dict[str, Any]) -> list[str]:
    """The categories of a manifest."""
    return [entry["category"] for entry in manifest["categories"]]


def splits(manifest: dict[str, Any]) -> list[dict[str, int] | None]:
    """The source's own splits of each category."""
    return [entry.get("splits") for entry in manifest["categories"]]


@pytest.fixture
def fetch(request: pytest.FixtureRequest, make_params: MakeParams, tmp_path: Path) -> Fetch:
    """Fetches from the source that the module is about."""
    return Fetch(make_params, request.module.SOURCE, tmp_path / "raw")
