"""Every model in numbers: a table a stage, a column a head."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from quickspine.evaluation import page, pairing
from quickspine.evaluation.evidence import Evidence
from quickspine.evaluation.numbers import count, interval, mebibytes, spread, time
from quickspine.evaluation.page import Section, escape

Model = Mapping[str, Any]
Row = tuple[str, str, Callable[[Model], str]]  # name, note, cell

BESIDE = 2  # heads with which the tables of two stages have room beside each other
CAPTION = (
    "Test accuracy: small dots are seeds, the large mark is their mean, the line its 95 % interval."
)


def section(evidence: Evidence) -> Section:
    """The tables, and the accuracies as a picture."""
    metrics = evidence.metrics
    by_stage = {stage: pairing.heads(metrics, stage) for stage in pairing.stages(metrics)}
    tables = "".join(
        f"<div><h3>{escape(pairing.told(stage))}</h3>\n{table(heads)}</div>\n"
        for stage, heads in by_stage.items()
    )
    if all(len(heads) <= BESIDE for heads in by_stage.values()):
        tables = f'<div class="pair">\n{tables}</div>\n'
    picture = evidence.figures.get("accuracy")
    return Section(
        "models",
        "The models",
        "Each column is a head; a number is the mean over its seeds, on the test drawings, and "
        "± is the standard deviation between seeds.",
        tables + ("" if picture is None else page.figure(picture, CAPTION)),
    )


def table(heads: Mapping[str, Model]) -> str:
    """The models of a stage, by head."""
    top = next(key for key in next(iter(heads.values())) if _is_top(key))
    rows = [
        ((name, note), *(cell(model) for model in heads.values()))
        for name, note, cell in _rows(top)
    ]
    return page.table("", ["", *heads], rows)


def _is_top(key: str) -> bool:
    return key.startswith("top") and key.endswith("_accuracy")


def _rows(top: str) -> list[Row]:
    k = top.removeprefix("top").removesuffix("_accuracy")
    return [
        ("accuracy, %", "first answer right", lambda model: spread(model["accuracy"])),
        ("95 % interval, %", "of the accuracy", lambda model: interval(model["accuracy"]["ci95"])),
        (f"top-{k}, %", f"right among the first {k}", lambda model: spread(model[top])),
        ("validation accuracy, %", "what choices looked at",
         lambda model: spread(model["validation_accuracy"])),
        ("loss", "cross-entropy, nats", lambda model: f"{model['loss']['mean']:.3f}"),
        ("calibration error, points", "ECE; 0 is best",
         lambda model: spread(model["calibration_error"])),
        ("parameters", "trained numbers", lambda model: count(model["parameters"])),
        ("parameters of the head", "", lambda model: count(model["head_parameters"])),
        ("multiplications", "for one drawing", lambda model: count(model["multiplications"])),
        ("multiplications of the head", "",
         lambda model: count(model["head_multiplications"])),
        ("weights, MiB", "in memory", lambda model: mebibytes(model["memory"]["weights_bytes"])),
        ("activations, MiB", "in memory",
         lambda model: mebibytes(model["memory"]["activations_bytes"])),
        ("one drawing, ms", "median", lambda model: time(model["latency"]["1"]["median_ms"])),
        ("one drawing, ms", "95th percentile",
         lambda model: time(model["latency"]["1"]["p95_ms"])),
        ("256 drawings, ms", "median", lambda model: time(model["latency"]["256"]["median_ms"])),
        ("256 drawings, ms", "95th percentile",
         lambda model: time(model["latency"]["256"]["p95_ms"])),
        ("training, seconds", "a seed", _training),
    ]  # fmt: skip


def _training(model: Model) -> str:
    found = model["training_seconds"]
    return "not measured" if found is None else time(found)
