"""What a training leaves: `model.keras`, `metrics.json`, `history.csv`, whole or not at all."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from quickspine.files import sha256, whole_folder, write_json
from quickspine.training.model_file import parameters, save
from quickspine.training.progress import Epoch

COLUMNS = ("phase", "epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")


@dataclass(frozen=True)
class Outcome:
    """A finished training.

    Attributes:
        model: the network with the weights of its best epoch.
        best: that epoch's entry.
        history: (phase, entry) for every epoch.
        facts: stage, head, seed, digests and the like, for `metrics.json`.
        seconds: what it took; in none of the outputs, which are equal for equal trainings.
    """

    model: keras.Model
    best: Epoch
    history: list[tuple[str, Epoch]]
    facts: dict[str, Any]
    seconds: float


def write(outcome: Outcome, place: Path) -> dict[str, Any]:
    """Write the three files into the folder `place`; equal outcomes give equal bytes.

    Returns:
        What `metrics.json` holds; `model_digest` is the sha256 of `model.keras`.
    """
    with whole_folder(place) as folder:
        save(outcome.model, folder / "model.keras")
        with (folder / "history.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows({"phase": phase, **entry} for phase, entry in outcome.history)
        best = outcome.best
        metrics = {
            **outcome.facts,
            "best_epoch": best["epoch"],
            "epochs": len(outcome.history),
            "loss": best["loss"],
            "accuracy": best["accuracy"],
            "val_loss": best["val_loss"],
            "val_accuracy": best["val_accuracy"],
            "parameters": parameters(outcome.model),
            "head_parameters": parameters(outcome.model.get_layer("head")),
            "model_digest": sha256(folder / "model.keras"),
        }
        write_json(folder / "metrics.json", metrics)
    return metrics
