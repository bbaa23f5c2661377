"""The trained models under `models/`, checked before the slow TensorFlow import."""

from __future__ import annotations

import csv
import math
import re
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from quickspine.errors import InputError
from quickspine.files import STATE, read_json, sha256
from quickspine.nets.pretrained.catalogue import NONE
from quickspine.params import Params
from quickspine.tracking.champion import Candidate
from quickspine.training.code import code_digest
from quickspine.training.timings import taken
from quickspine.validation import Facts, checked

Stage = Literal["train", "finetune"]
STAGES: tuple[Stage, ...] = ("train", "finetune")
MEASURES = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")
MAX_HISTORY = 64 << 20  # bytes: a hundred per epoch of 100,000 epochs are a tenth of that
SHOWN = 12  # characters of a digest in a message
LEFTOVERS = STATE / "leftover-models"
OURS = re.compile(r"(?:train|finetune)-([a-z][a-z0-9_]*)-(\d+)")

Parameters = Annotated[int, Field(ge=1, le=2**53)]
Share = Annotated[float, Field(ge=0, le=1)]


class Metrics(Facts):
    """The keys of a model's `metrics.json` that an evaluation reads."""

    stage: Stage
    head: str
    seed: int
    data_digest: str
    params_digest: str
    model_digest: str
    parameters: Parameters
    head_parameters: Parameters
    val_accuracy: Share
    val_loss: Annotated[float, Field(ge=0)]


@dataclass(frozen=True)
class Trained:
    """A model folder that belongs to the data and params, and what it holds beside the model."""

    stage: Stage
    head: str
    seed: int
    folder: Path
    metrics: dict[str, Any]
    history: list[dict[str, Any]]
    seconds: float | None = None  # of its training, where that is known

    @property
    def digest(self) -> str:
        """sha256 of `model.keras`."""
        return str(self.metrics["model_digest"])

    @property
    def made_by(self) -> str:
        """The stage in dvc.yaml that trains it."""
        return f"{self.stage}@{self.head}-{self.seed}"


def find(params: Params, folder: Path, data_digest: str) -> list[Trained]:
    """Open all models that `params` asks for, of the enabled stages.

    Raises:
        InputError: naming the first that is missing, damaged, in another's place, trained on other
            data, with other params or other code, or fine-tuned from other weights than the rest.
    """
    models = [
        _open(params, stage, head, seed, folder, data_digest)
        for stage in STAGES
        if getattr(params, stage).enabled
        for head in params.heads
        for seed in params.seeds
    ]
    _check_code(models)
    _check_weights(
        [model for model in models if model.stage == "finetune"],
        random=params.finetune.weights == NONE,
    )
    return models


def _open(
    params: Params, stage: Stage, head: str, seed: int, models: Path, data_digest: str
) -> Trained:
    name = f"{stage}@{head}-{seed}"
    folder = models / f"{stage}-{head}-{seed}"
    path, file = folder / "metrics.json", folder / "model.keras"
    values = read_json(path, name)
    metrics = checked(Metrics, values, path, name)
    stated = f"{metrics.stage}@{metrics.head}-{metrics.seed}"
    if stated != name:
        raise InputError(f"{path}: of the model {stated!r:.80}; run: dvc repro -f {name}")
    for key, difference, expected in (
        ("data_digest", "on other data", data_digest),
        ("params_digest", f"with other params (section {stage})", params.digest(stage)),
    ):
        if values[key] != expected:
            raise InputError(
                f"{folder}: trained {difference}: its {key} {_begins(values[key])}, "
                f"expected {expected[:SHOWN]!a}; run: dvc repro {name}"
            )
    if not file.is_file() or sha256(file) != metrics.model_digest:
        raise InputError(f"{file}: not the model that was trained; run: dvc repro -f {name}")
    history = _read_history(folder / "history.csv", name)
    return Trained(stage, head, seed, folder, values, history, taken(metrics.model_digest))


def _begins(digest: object) -> str:
    return "is missing" if digest is None else f"begins {str(digest)[:SHOWN]!a}"


def _check_code(models: Sequence[Trained]) -> None:
    """Refuse models of other code: DVC trains again whatever it knows to be outdated.

    What it does not know of is code that was edited while a stage ran, and `dvc commit`.
    """
    now = {of: code_digest(*of) for of in {(model.stage, model.head) for model in models}}
    others = [
        model
        for model in models
        if model.metrics.get("code_digest") != now[model.stage, model.head]
    ]
    if others:
        first, stages = others[0], " ".join(model.made_by for model in others)
        raise InputError(
            f"{first.folder}: trained by other code than is here now: its code_digest "
            f"{_begins(first.metrics.get('code_digest'))}, expected "
            f"{now[first.stage, first.head][:SHOWN]!a}; run: dvc repro, or after a dvc "
            f"commit, which trains nothing: dvc repro -s -f {stages}"
        )


def _check_weights(finetuned: Sequence[Trained], random: bool) -> None:
    """Refuse models that were fine-tuned from different weights.

    Args:
        finetuned: the models of the stage.
        random: whether the weights are random, and so shared by the heads of one seed only.
    """
    firsts: dict[int | None, Trained] = {}
    for model in finetuned:
        first = firsts.setdefault(model.seed if random else None, model)
        own, expected = (each.metrics.get("weights_digest") for each in (model, first))
        if own is None or own != expected:
            stages = " ".join(each.made_by for each in finetuned)
            raise InputError(
                f"{model.folder}: fine-tuned from other weights than {first.folder.name}: its "
                f"weights_digest {_begins(own)}, that one's {_begins(expected)}; "
                f"run: dvc repro -s -f {stages}"
            )


def _read_history(path: Path, made_by: str) -> list[dict[str, Any]]:
    """Read the epochs, in order: `phase`, `epoch` and the measures."""
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
    names = ("phase", "epoch", *MEASURES)
    if not set(names) <= set(row) or None in row or None in row.values():
        raise ValueError(f"not a row of {', '.join(names)}")
    numbers = {name: float(row[name]) for name in names[1:]}
    if not all(map(math.isfinite, numbers.values())):
        raise ValueError("a value that is not a finite number")
    return {"phase": row["phase"], **numbers}


def candidates(trained: Sequence[Trained]) -> list[Candidate]:
    """Every model as a candidate for the registry, judged by validation accuracy and loss."""
    return [
        Candidate(
            stage=model.stage,
            head=model.head,
            seed=model.seed,
            model_digest=model.digest,
            params_digest=model.metrics["params_digest"],
            accuracy=model.metrics["val_accuracy"],
            loss=model.metrics["val_loss"],
        )
        for model in trained
    ]


def set_aside(
    models: Path, heads: Collection[str], seeds: Collection[int], folder: Path = LEFTOVERS
) -> list[str]:
    """Move trained models that are not asked for out of `models`; other folders stay.

    `evaluate` depends on `models/` as a whole: with a model of a seed or head that was taken out of
    the params, a clone that pulls all that is asked for would look stale. DVC has them in its
    cache: asked for again, they come back without training.

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
