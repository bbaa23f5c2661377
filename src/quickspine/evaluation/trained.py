"""The trained models under `models/`: which there should be, checked before TensorFlow starts."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from quickspine.errors import InputError
from quickspine.files import read_json, sha256
from quickspine.params import Params
from quickspine.training.timings import taken
from quickspine.validation import Facts, checked

Stage = Literal["train", "finetune"]
STAGES: tuple[Stage, ...] = ("train", "finetune")
MEASURES = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")
MAX_HISTORY = 64 << 20  # bytes; a hundred for each of 100,000 epochs are a tenth of that

Parameters = Annotated[int, Field(ge=1, le=2**53)]
Share = Annotated[float, Field(ge=0, le=1)]


class Metrics(Facts):
    """`metrics.json` of a model folder: what its evaluation reads."""

    stage: Stage
    head: str
    seed: int
    data_digest: str
    model_digest: str
    parameters: Parameters
    head_parameters: Parameters
    val_accuracy: Share
    val_loss: float


@dataclass(frozen=True)
class Trained:
    """A model folder that belongs to the data, and what it holds beside the model."""

    stage: Stage
    head: str
    seed: int
    folder: Path
    metrics: dict[str, Any]
    history: list[dict[str, Any]]
    seconds: float | None = None  # what its training took, where that is known

    @property
    def digest(self) -> str:
        """sha256 of `model.keras`."""
        return str(self.metrics["model_digest"])

    @property
    def made_by(self) -> str:
        """The stage in dvc.yaml that trains it."""
        return f"{self.stage}@{self.head}-{self.seed}"


def find(params: Params, folder: Path, data_digest: str) -> list[Trained]:
    """All models that `params` asks for, of the enabled stages, checked before the first is loaded.

    Raises:
        InputError: naming the first that is missing, damaged, in another's place, or trained
            on other data.
    """
    return [
        _open(stage, head, seed, folder, data_digest)
        for stage in STAGES
        if getattr(params, stage).enabled
        for head in params.heads
        for seed in params.seeds
    ]


def _open(stage: Stage, head: str, seed: int, models: Path, data_digest: str) -> Trained:
    name = f"{stage}@{head}-{seed}"
    folder = models / f"{stage}-{head}-{seed}"
    path, file = folder / "metrics.json", folder / "model.keras"
    values = read_json(path, name)
    metrics = checked(Metrics, values, path, name)
    found = f"{metrics.stage}@{metrics.head}-{metrics.seed}"
    if found != name:
        raise InputError(f"{path}: of the model {found!r:.80}; run: dvc repro -f {name}")
    if not file.is_file() or sha256(file) != metrics.model_digest:
        raise InputError(f"{file}: not the model that was trained; run: dvc repro -f {name}")
    if metrics.data_digest != data_digest:
        raise InputError(f"{file}: trained on other drawings; run: dvc repro {name}")
    history = _history(folder / "history.csv", name)
    return Trained(stage, head, seed, folder, values, history, taken(metrics.model_digest))


def _history(path: Path, made_by: str) -> list[dict[str, Any]]:
    """The epochs, in order: `phase`, `epoch` and the measures."""
    try:
        if not path.is_file():
            raise ValueError("no such file")
        if path.stat().st_size > MAX_HISTORY:
            raise ValueError(f"more than {MAX_HISTORY} bytes")
        with path.open(newline="", encoding="utf-8") as lines:
            rows = [_numbers(row) for row in csv.DictReader(lines, strict=True)]
        if not rows:
            raise ValueError("no epoch in it")
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: damaged ({error}); run: dvc repro -f {made_by}") from None
    return rows


def _numbers(row: dict[str, str]) -> dict[str, Any]:
    wanted = ("phase", "epoch", *MEASURES)
    if not set(wanted) <= set(row) or None in row or None in row.values():
        raise ValueError(f"not a row of {', '.join(wanted)}")
    numbers = {name: float(row[name]) for name in wanted[1:]}
    if not all(map(math.isfinite, numbers.values())):
        raise ValueError("a value that is not a finite number")
    return {"phase": row["phase"], **numbers}
