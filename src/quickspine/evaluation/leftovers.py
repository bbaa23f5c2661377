"""Models that are no longer asked for: set aside, so that `models/` is what is evaluated.

`evaluate` depends on `models/` as a whole, which DVC hashes. With a model of a seed or head that
was taken out of the params, a clone that pulls all that is asked for would look stale.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection
from pathlib import Path

from quickspine.files import STATE

FOLDER = STATE / "leftover-models"
OURS = re.compile(r"(?:train|finetune)-([a-z][a-z0-9_]*)-(\d+)")


def set_aside(
    models: Path, heads: Collection[str], seeds: Collection[int], folder: Path = FOLDER
) -> list[str]:
    """Move trained models that are not asked for out of `models`; other folders stay.

    DVC has them in its cache: asked for again, they come back without training.

    Args:
        models: the folder of all models.
        heads: of the models that stay, with any of `seeds`.
        seeds: as well.
        folder: where the others go; an older one of the same name is replaced.

    Returns:
        The names of those that were moved, sorted.
    """
    names = sorted(path.name for path in models.iterdir() if path.is_dir())
    leftovers = [
        name
        for name in names
        if (parts := OURS.fullmatch(name)) and not (parts[1] in heads and int(parts[2]) in seeds)
    ]
    for name in leftovers:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder / name, ignore_errors=True)
        shutil.move(models / name, folder / name)
        print(f"evaluate: {name} is not asked for; moved to {folder}")
    return leftovers
