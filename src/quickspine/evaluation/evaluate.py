"""The one look at the test split: every model answers it, the heads are compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
from tqdm import tqdm

from quickspine.dataset.records.reader import RecordSet
from quickspine.evaluation import (
    costs,
    figures,
    model_card,
    pairing,
    predictions,
    recipe,
    report,
    summary,
)
from quickspine.evaluation.comparison import DataInfo, summarise
from quickspine.evaluation.evidence import Evidence
from quickspine.evaluation.examples import collect, pick, positions
from quickspine.evaluation.metrics import ModelRun
from quickspine.evaluation.models import answer, labels_of
from quickspine.evaluation.surroundings import surroundings
from quickspine.evaluation.trained import Trained
from quickspine.files import whole_folder, write_json
from quickspine.params import Params
from quickspine.space import need_space

FIGURES = 16_000_000  # bytes, at the most, of plots, report and model card


def evaluate(
    params: Params,
    trained: list[Trained],
    records: RecordSet,
    place: Path,
    contact_sheet: Path | None = None,
) -> tuple[dict[str, Any], dict[str, dict[str, float]]]:
    """Write everything that an evaluation leaves into the folder `place`.

    Files: `metrics.json`, `summary.json` (its part for DVC), `predictions.npz`, `plots/`,
    `report.html` and `model-card.md`.

    Models run in float32, whatever they were trained in, so that the comparison owes nothing to
    rounding.

    Args:
        params: the whole of params.yaml.
        trained: the models, from `trained.find`.
        records: the data.
        place: the folder of the evaluation, written whole or not at all.
        contact_sheet: a PNG to show in the report.

    Raises:
        NoSpaceError: before the first model is run, where the disk has no room for the rest.

    Returns:
        What `metrics.json` holds, and the test metrics of each model by model digest.
    """
    labels = labels_of(records)
    logits = len(labels) * len(records.categories) * 4
    need_space(place, len(trained) * logits + FIGURES, "train fewer seeds")
    runs: list[ModelRun] = []
    for model in tqdm(trained, desc="evaluate", unit="model", leave=False, disable=None):
        keras.utils.clear_session()
        # Seeds of a head are networks of one shape: large batches are timed once.
        first = all((run.stage, run.head) != (model.stage, model.head) for run in runs)
        timed = costs.BATCHES if first else costs.BATCHES[:1]
        runs.append(answer(model, records, params.evaluate.latency_repeats, timed))
    manifest = records.manifest
    data: DataInfo = {
        "source": manifest["source"],
        "synthetic": manifest["synthetic"],
        "licence": manifest["licence"],
        "attribution": manifest["attribution"],
        "shape": list(records.shape),
        "train": records.examples("train"),
        "validation": records.examples("validation"),
        "test": records.examples("test"),
    }
    metrics = summarise(runs, labels, records.categories, data, params.evaluate)
    examples = pick(runs, labels, pairing.main_pairs(metrics))
    drawings = (images.numpy() for images, _ in records.ordered("test", 256))
    bitmaps = collect(drawings, positions(examples))
    records.check_unchanged()
    with whole_folder(place) as folder:
        write_json(folder / "metrics.json", metrics)
        write_json(folder / "summary.json", summary.short(metrics))
        digests = {run.name: model.digest for run, model in zip(runs, trained, strict=True)}
        predictions.write(folder, runs, labels, records.digest, digests)
        drawn = figures.write(folder / "plots", runs, labels, records.categories, metrics)
        known = {"params": params.digest(), "data": records.digest, **digests}
        report.write(
            folder / "report.html",
            Evidence(
                metrics,
                drawn,
                examples,
                bitmaps,
                surroundings(),
                known,
                None if contact_sheet is None else contact_sheet.read_bytes(),
                {
                    "train": recipe.seen(params.train),
                    "finetune": recipe.started(params.finetune),
                },
            ),
        )
        model_card.write(folder / "model-card.md", metrics, params, known)
    return metrics, {model.digest: _own(metrics, model, params) for model in trained}


def _own(metrics: dict[str, Any], model: Trained, params: Params) -> dict[str, float]:
    """The test metrics of one model, under the names that MLflow shows."""
    whole = metrics["models"][f"{model.stage}-{model.head}"]
    position = whole["seeds"].index(model.seed)
    top = f"top{params.evaluate.top_k}_accuracy"
    return {
        "test_accuracy": whole["accuracy"]["runs"][position],
        f"test_{top}": whole[top]["runs"][position],
        "test_loss": whole["loss"]["runs"][position],
        "test_calibration_error": whole["calibration_error"]["runs"][position],
        "latency_ms": whole["latency_ms"],
    }
