"""Raw folders as fetch makes them, of made-up drawings, and what the later stages make of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from quickspine.dataset.prepare.subset import preprocess
from quickspine.dataset.prepare.table import NAME, read_split
from quickspine.errors import InputError
from quickspine.files import read_json, sha256, write_json
from quickspine.params import SPLITS, Params

Drawings = NDArray[np.uint8]
MakeRaw = Callable[[Mapping[str, Drawings]], Path]
MakeSubset = Callable[..., Path]


def random_drawings(count: int, side: int = 8, *, seed: int = 0) -> Drawings:
    """Drawings of noise, uint8 [count, side * side]: no two are equal, none is blank."""
    generator = np.random.default_rng([seed, count, side])
    return generator.integers(1, 256, (count, side * side), dtype=np.uint8)


def refusal(work: Callable[[], object]) -> str | None:
    """Why `work` is refused; None where it is not."""
    try:
        work()
    except InputError as error:
        return str(error)
    return None


@pytest.fixture(scope="session")
def make_raw(tmp_path_factory: pytest.TempPathFactory) -> MakeRaw:
    """Makes a raw folder of drawings by category."""

    def make(drawings: Mapping[str, Drawings]) -> Path:
        folder = tmp_path_factory.mktemp("data") / "raw"
        folder.mkdir()
        entries = []
        for category, values in drawings.items():
            path = folder / f"{category}.npy"
            np.save(path, values)
            entries.append(
                {
                    "category": category,
                    "file": path.name,
                    "url": f"made-up:{category}",
                    "rows": len(values),
                    "bytes": path.stat().st_size,
                    "sha256": sha256(path),
                }
            )
        side = round(next(iter(drawings.values())).shape[1] ** 0.5)
        manifest = {"source": "doodles", "synthetic": True, "licence": "CC0-1.0"}
        manifest |= {"attribution": "nobody", "shape": [side, side, 1]}
        manifest |= {"encoding": "raw", "categories": entries}
        write_json(folder / "manifest.json", manifest)
        return folder

    return make


@pytest.fixture(scope="session")
def make_subset(make_raw: MakeRaw, make_params: Callable[[dict[str, Any]], Params]) -> MakeSubset:
    """Makes a folder that holds `raw` and `subset`, of drawings by category, with other params."""

    def make(drawings: Mapping[str, Drawings], **overrides: Any) -> Path:
        chosen = {
            "data.categories": tuple(drawings),
            "data.drawings_per_category": max(1, *map(len, drawings.values())),
            "data.allow_fewer": True,
            **overrides,
        }
        raw = make_raw(drawings)
        preprocess(make_params(chosen), raw, raw.parent / "subset")
        return raw.parent

    return make


def read_subset(data: Path) -> dict[str, list[Drawings]]:
    """The drawings of each split, by label, as the table in `data/subset` chooses them."""
    manifest = read_json(data / "subset/manifest.json", "preprocess")
    files = {
        entry["category"]: entry["file"]
        for entry in read_json(data / "raw/manifest.json", "fetch")["categories"]
    }
    found = {}
    for split in SPLITS:
        labels, rows = read_split(data / "subset" / NAME, split)
        found[split] = [
            np.load(data / "raw" / files[category])[rows[labels == label]]
            for label, category in enumerate(manifest["categories"])
        ]
    return found
