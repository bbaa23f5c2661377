"""Checkpoints: a killed training goes on where it was, and ends with the same bytes."""

from __future__ import annotations

import hashlib
import io
import json
import sys
import time
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from quickspine.files import STATE, whole_file
from quickspine.space import need_space
from quickspine.training.code import code_digest
from quickspine.training.devices import Device, arithmetic
from quickspine.training.progress import Progress
from quickspine.training.schedules import Schedule

FOLDER = STATE / "checkpoints"
EVERY_S = 60.0  # between two checkpoints within an epoch; each epoch ends with one anyway
DIGEST = hashlib.sha256().digest_size


@dataclass(frozen=True)
class State:
    """What a training changes, apart from its `Progress`."""

    model: keras.Model
    optimizer: Any
    schedule: Schedule

    def variables(self) -> dict[str, list[Any]]:
        """Everything with a value: weights, the optimizer's numbers, states of generators."""
        return {
            "model": list(self.model.weights),
            "optimizer": list(self.optimizer.variables),
            "generator": [generator.state for generator in generators(self.model).values()],
        }


def generators(model: keras.Model) -> dict[str, Any]:
    """The random generators of a model, by the names of their layers."""
    layers = model._flatten_layers()
    found = {layer.name: getattr(layer, "seed_generator", None) for layer in layers}
    return {name: generator for name, generator in found.items() if generator is not None}


@dataclass
class Checkpoint:
    """The checkpoint of one call of `fit`: a single file, whole or absent.

    It serves a training only if everything in `facts` is as it was when it was written: params,
    data, code, versions and device. Any other starts afresh, and says why.

    Attributes:
        name: of the training, in what is printed.
        path: the file; the first 32 bytes are the sha256 of the rest, an .npz without pickles.
        facts: what the training depends on.
        resumed: how far it was when it was restored, in words; None: from the start.
    """

    name: str
    path: Path
    facts: dict[str, str]
    resumed: str | None = None
    _written: float = field(default_factory=time.monotonic)

    def make_sure_of_room(self, state: State) -> None:
        """Say now, not after the first epoch, that the disk has no room for what is coming.

        Raises:
            NoSpaceError: without room for two checkpoints, an old and a new one, and the model.
        """
        sizes = {
            kind: sum(keras.ops.convert_to_numpy(variable).nbytes for variable in of)
            for kind, of in state.variables().items()
        }
        once = sum(sizes.values()) + sizes["model"]  # the best weights
        need_space(self.path, 2 * once + 2 * sizes["model"], "choose a smaller network")

    @property
    def due(self) -> bool:
        """Whether a step should be followed by a checkpoint."""
        return time.monotonic() - self._written >= EVERY_S

    def write(self, state: State, progress: Progress) -> None:
        """Replace the file by what the training is now.

        Raises:
            OSError: where it cannot be written; the one before is still there then.
        """
        arrays = {
            f"{kind}/{number}": keras.ops.convert_to_numpy(variable)
            for kind, variables in state.variables().items()
            for number, variable in enumerate(variables)
        }
        arrays |= {f"best/{number}": values for number, values in enumerate(progress.weights)}
        course = replace(
            progress,
            weights=[],  # among the arrays
            results=[(float(loss), int(hit), int(size)) for loss, hit, size in progress.results],
        )
        told = {"facts": self.facts, "course": asdict(course), "schedule": state.schedule.state()}
        arrays["told"] = np.frombuffer(json.dumps(told).encode(), np.uint8)
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **arrays)
        with whole_file(self.path) as partial, partial.open("wb") as file:
            file.write(hashlib.sha256(content.getbuffer()).digest())
            file.write(content.getbuffer())
        self._written = time.monotonic()

    def restore(self, state: State) -> Progress | None:
        """Set `state` to what the file holds; None, and a word, where it holds nothing of use."""
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._afresh(f"{self.path} cannot be read ({error.strerror})")
            return None
        arrays = _opened(raw)
        if arrays is None:
            self._afresh(f"{self.path} is damaged")
            return None
        told = json.loads(arrays.pop("told").tobytes())
        names = {*told["facts"], *self.facts}
        other = sorted(n for n in names if told["facts"].get(n) != self.facts.get(n))
        if other:
            self._afresh(f"its checkpoint was made with other {' and '.join(other)}")
            return None
        for kind, variables in state.variables().items():
            for number, variable in enumerate(variables):
                variable.assign(arrays[f"{kind}/{number}"])
        course = told["course"]
        count = len(state.model.weights) if course["best"] else 0
        best = [arrays[f"best/{number}"] for number in range(count)]
        progress = Progress(**{**course, "weights": best})
        state.schedule.restore(told["schedule"])
        self.resumed = f"epoch {progress.epoch + 1}, step {progress.steps + 1}"
        print(f"{self.name}: going on from its checkpoint, at {self.resumed}", flush=True)
        return progress

    def _afresh(self, why: str) -> None:
        print(f"{self.name}: {why}; starting afresh", file=sys.stderr, flush=True)


def _opened(raw: bytes) -> dict[str, NDArray[Any]] | None:
    """The arrays of a file that was written here; None of any other."""
    if hashlib.sha256(raw[DIGEST:]).digest() != raw[:DIGEST]:
        return None
    try:
        with np.load(io.BytesIO(raw[DIGEST:]), allow_pickle=False) as arrays:
            return dict(arrays)
    except (ValueError, EOFError, zipfile.BadZipFile):  # with the right digest: made by hand
        return None


class Checkpoints:
    """The checkpoints of one stage: one a phase.

    Args:
        stage: such as "train-spinal-1".
        folder: where they are kept; deleting it costs time, nothing else.
    """

    def __init__(self, stage: str, folder: Path = FOLDER) -> None:
        self._stage = stage
        self._folder = folder
        self._made: list[Checkpoint] = []

    def of(self, phase: str, device: Device, facts: Mapping[str, Any]) -> Checkpoint:
        """The checkpoint of a phase.

        Args:
            phase: such as "train".
            device: what it trains on.
            facts: `stage`, `head`, `seed`, `params_digest` and `data_digest` of the training.
        """
        known = {
            **arithmetic(),
            "head": str(facts["head"]),
            "seed": str(facts["seed"]),
            "params": str(facts["params_digest"]),
            "data": str(facts["data_digest"]),
            "code": code_digest(str(facts["stage"]), str(facts["head"])),
            "versions": f"TensorFlow {tf.__version__}, Keras {keras.__version__}, {sys.version}",
            "device": f"{device.name}, {device.precision}, {device.strategy.num_replicas_in_sync}",
        }
        name = f"{self._stage}-{phase}"
        checkpoint = Checkpoint(name, self._folder / f"{name}.checkpoint", known)
        self._made.append(checkpoint)
        return checkpoint

    @property
    def resumed(self) -> str | None:
        """Where the stage went on, in words; None: from the start."""
        found = [f"{each.name} {each.resumed}" for each in self._made if each.resumed]
        return found[-1] if found else None

    def remove(self) -> None:
        """Forget them: the outputs are there."""
        for checkpoint in self._made:
            checkpoint.path.unlink(missing_ok=True)
