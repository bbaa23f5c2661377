"""The stage `evaluate`: predict the test split with every model, once, and compare the heads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
from tqdm import tqdm

from quickspine.dataset.records.reader import RecordSet
from quickspine.evaluation import predictions, summary
from quickspine.evaluation.comparison import DataInfo, summarise
from quickspine.evaluation.metrics import ModelRun
from quickspine.evaluation.predict import Network
from quickspine.evaluation.report import examples, figures, images, model_card, page
from quickspine.evaluation.trained import Trained, candidates
from quickspine.files import whole_folder, write_json
from quickspine.params import Params
from quickspine.space import need_space
from quickspine.tracking import tracked_run

FIGURES = 16_000_000  # bytes, at the most, of plots, report and model card


def evaluate(
    params: Params,
    trained: list[Trained],
    records: RecordSet,
    place: Path,
    contact_sheet: Path | None = None,
) -> None:
    """Write all outputs of an evaluation into the folder `place`, whole or not at all.

    Files: `metrics.json`, `summary.json` (its part for DVC), `predictions.npz`, `plots/`,
    `report.html` and `model-card.md`. It is one MLflow run, which proposes the best model as
    champion; the result is printed.

    Models run in float32, whatever precision they were trained in.

    Args:
        params: the whole of params.yaml.
        trained: the models, from `trained.find`.
        records: the data.
        place: the folder of the evaluation.
        contact_sheet: a PNG to show in the report.

    Raises:
        InputError: if a model cannot be loaded, diverged, or is for other images or categories.
        NoSpaceError: before the first prediction, if the disk has no room for the outputs.
    """
    with tracked_run(
        params,
        stage="evaluate",
        data_digest=records.digest,
        synthetic=records.manifest["synthetic"],
    ) as tracked:
        metrics = _evaluate(params, trained, records, place, contact_sheet)
        print(summary.describe(metrics))
        tracked.log_metrics(summary.flat(metrics))
        tracked.log_artifact(place, "evaluation")
        for model in trained:
            values = summary.of_seed(metrics, f"{model.stage}-{model.head}", model.seed)
            tracked.attach(model.digest, values)
        tracked.propose(
            candidates(trained),
            source=params.data.name,
            data_digest=records.digest,
            drawings=records.examples("validation"),
        )


def _evaluate(
    params: Params,
    trained: list[Trained],
    records: RecordSet,
    place: Path,
    contact_sheet: Path | None,
) -> dict[str, Any]:
    """Write the outputs; return the content of `metrics.json`."""
    labels, categories = records.labels("test"), records.categories
    logits = len(labels) * len(categories) * 4
    need_space(place, len(trained) * logits + FIGURES, "train fewer seeds")
    runs = _predict_all(params, trained, records)
    facts = records.manifest
    data: DataInfo = {
        "source": facts["source"],
        "synthetic": facts["synthetic"],
        "licence": facts["licence"],
        "attribution": facts["attribution"],
        "shape": list(records.shape),
        "train": records.examples("train"),
        "validation": records.examples("validation"),
        "test": records.examples("test"),
    }
    metrics = summarise(runs, labels, categories, data, params.evaluate)
    chosen = examples.pick(runs, labels, summary.main_pairs(metrics))
    batches = (batch.numpy() for batch, _ in records.ordered("test", 256))
    bitmaps = images.collect(batches, examples.positions(chosen))
    records.check_unchanged()
    models = {run.name: model.digest for run, model in zip(runs, trained, strict=True)}
    digests = {"params": params.digest(), "data": records.digest, **models}
    with whole_folder(place) as folder:
        write_json(folder / "metrics.json", metrics)
        write_json(folder / "summary.json", summary.short(metrics))
        predictions.write(folder, runs, labels, records.digest, models)
        page.Report(
            metrics=metrics,
            charts=figures.write(folder / "plots", runs, labels, categories, metrics),
            examples=chosen,
            bitmaps=bitmaps,
            digests=digests,
            environment=page.describe_environment(),
            contact_sheet=None if contact_sheet is None else contact_sheet.read_bytes(),
            notes={
                "train": model_card.features(params.train),
                "finetune": model_card.start(params.finetune),
            },
        ).write(folder / "report.html")
        model_card.write(folder / "model-card.md", metrics, params, digests)
    return metrics


def _predict_all(params: Params, trained: list[Trained], records: RecordSet) -> list[ModelRun]:
    """Predict with every model; models of one stage and head, in a row, share their network."""
    runs: list[ModelRun] = []
    network: Network | None = None
    for model in tqdm(trained, desc="evaluate", unit="model", leave=False, disable=None):
        if network is None or network.of != (model.stage, model.head):
            keras.utils.clear_session()
            network = Network(model, records, params.evaluate.latency_repeats)
        runs.append(network.predict(model))
    return runs
