"""`model.keras`, equal to the byte for equal weights."""

from __future__ import annotations

import json
import math
import re
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import keras

EPOCH_OF_ZIP = (1980, 1, 1, 0, 0, 0)


def save(model: keras.Model, path: Path) -> None:
    """Save a model as a .keras file without the date and the addresses that Keras puts in."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".partial-") as folder:
        drafted = Path(folder) / "draft.keras"
        model.save(drafted)
        with zipfile.ZipFile(drafted) as old, zipfile.ZipFile(path, "w") as new:
            for name in sorted(old.namelist()):
                entry = zipfile.ZipInfo(name, EPOCH_OF_ZIP)
                entry.external_attr = 0o644 << 16
                new.writestr(entry, _timeless(name, old.read(name)))


def _timeless(name: str, content: bytes) -> bytes:
    if name == "metadata.json":
        facts = json.loads(content)
        facts.pop("date_saved", None)
        return json.dumps(facts, sort_keys=True).encode()
    if name == "config.json":
        # Keras numbers shared objects by their address in memory: number them as they come.
        numbers: dict[bytes, int] = {}

        def number(match: re.Match[bytes]) -> bytes:
            position = numbers.setdefault(match[2], len(numbers) + 1)
            return match[1] + str(position).encode()

        return re.sub(rb'("shared_object_id": )(\d+)', number, content)
    return content


def load(path: Path) -> keras.Model:
    """Load a model; nothing in the file can run code."""
    return keras.saving.load_model(path, compile=False, safe_mode=True)


def parameters(model: Any) -> int:
    """How many trainable numbers a model or layer would have with nothing frozen.

    Running statistics, such as those of normalisation, do not count, as in PyTorch.
    """
    # Keras keeps on this list what was made to be trained, whether it is frozen now or not.
    made = (layer._trainable_variables for layer in model._flatten_layers())
    variables = {id(variable): variable for own in made for variable in own}
    return sum(math.prod(variable.shape) for variable in variables.values())
