"""How long a training took: known where it ran, and part of no output.

Equal trainings leave equal bytes, and no two of them take equally long: so the time is kept beside
the outputs, by the digest of the model, and a model that DVC restored may have none.
"""

from __future__ import annotations

import math

from quickspine.errors import InputError
from quickspine.files import STATE, read_json, write_json

FOLDER = STATE / "taken"


def keep(model_digest: str, seconds: float) -> None:
    """Note what the training of a model took, its resumed parts together."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    write_json(FOLDER / f"{model_digest}.json", {"seconds": round(seconds, 3)})


def taken(model_digest: str) -> float | None:
    """Seconds that the training of a model took; None where that is not known."""
    path = FOLDER / f"{model_digest}.json"
    if not path.is_file():
        return None
    try:
        seconds = read_json(path, "train")["seconds"]
    except (InputError, KeyError, TypeError):
        return None  # a note that was damaged: it is no reason to train again
    known = isinstance(seconds, float) and math.isfinite(seconds) and seconds >= 0
    return seconds if known else None
