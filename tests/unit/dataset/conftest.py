"""Raw folders as fetch makes them, of made-up drawings, and what the later stages make of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from quickspine.dataset.prepare.subset import preprocess
from quickspine.files import sha256, write_json
from quickspine.params import Params

Drawings = NDArray[np.uint8]
MakeRaw = Callable[[Mapping[str, Drawings]], Path]
MakeSubset = Callable[..., Path]


def random_drawings(count: int, side: int = 8, *, seed: int = 0) -> Drawings:
    """Drawings of noise, uint8 [count, side * side]: no two are equal, none is blank."""
    generator = np.random.default_rng([seed, count, side])
    return generator.integers(1, 256, (count, side * side), dtype=np.uint8)


@pytest.fixture(scope="session")
def make_raw(tmp_path_factory: pytest.TempPathFactory) -> MakeRaw:
    """Makes a raw folder of drawings by category."""

    def make(drawings: Mapping[str, Drawings]) -> Path:
        folder = tmp_path_factory.mktemp("raw")
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
def make_subset(
    tmp_path_factory: pytest.TempPathFactory,
    make_raw: MakeRaw,
    make_params: Callable[[dict[str, Any]], Params],
) -> MakeSubset:
    """Makes a subset folder of drawings by category, with other params."""

    def make(drawings: Mapping[str, Drawings], **overrides: Any) -> Path:
        chosen = {
            "data.categories": tuple(drawings),
            "data.drawings_per_category": max(1, *map(len, drawings.values())),
            "data.allow_fewer": True,
            **overrides,
        }
        place = tmp_path_factory.mktemp("subset") / "subset"
        preprocess(make_params(chosen), make_raw(drawings), place)
        return place

    return make
