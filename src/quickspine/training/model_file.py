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

from quickspine.nets import allowed_classes

EPOCH_OF_ZIP = (1980, 1, 1, 0, 0, 0)
MEMBERS = ["config.json", "metadata.json", "model.weights.h5"]  # in the order of their names


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
    """Load a model that `save` wrote; nothing in the file can run code.

    Raises:
        ValueError: if it is anything else, or damaged: says why, without naming the file.
    """
    try:
        _check(path)
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras, h5py and zipfile raise nearly anything over a damaged file
        reason = " ".join(str(error).split())[:300]
    raise ValueError(f"damaged, or not a model of quickspine's ({reason})")


def _check(path: Path) -> None:
    """What Keras would not look at, or only after it has done what the file says."""
    with zipfile.ZipFile(path) as file:
        entries = file.infolist()
        names = sorted(entry.filename for entry in entries)
        if names != MEMBERS:
            raise ValueError(f"it holds {names!r:.200} instead of {', '.join(MEMBERS)}")
        # So none can grow beyond the file.
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("it is compressed, and models are written as they are")
        if (damaged := file.testzip()) is not None:
            raise ValueError(f"its {damaged} is damaged")
        config = json.loads(file.read("config.json"))
    allowed_classes.check(config)


def parameters(model: Any) -> int:
    """How many trainable numbers a model or layer would have with nothing frozen.

    Running statistics, such as those of normalisation, do not count, as in PyTorch.
    """
    # Keras keeps on this list what was made to be trained, whether it is frozen now or not.
    made = (layer._trainable_variables for layer in model._flatten_layers())
    variables = {id(variable): variable for own in made for variable in own}
    return sum(math.prod(variable.shape) for variable in variables.values())
