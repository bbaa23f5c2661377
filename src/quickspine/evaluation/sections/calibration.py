"""Whether a model is right as often as it is sure."""

from __future__ import annotations

from quickspine.evaluation import page
from quickspine.evaluation.evidence import Evidence
from quickspine.evaluation.numbers import spread
from quickspine.evaluation.page import Section
from quickspine.evaluation.pairing import heads, stages
from quickspine.evaluation.sections.pictures import by_stage


def section(evidence: Evidence) -> Section:
    """The reliability curves, with the error of each head."""
    metrics = evidence.metrics
    rows = [
        (f"{stage}-{head}", spread(model["calibration_error"]))
        for stage in stages(metrics)
        for head, model in heads(metrics, stage).items()
    ]
    return Section(
        "calibration",
        "Can its confidence be believed?",
        "Of the answers given with 80 % confidence, 80 % should be right: on the dashed line they "
        "are, below it the model is too sure, above it too modest. A large mark stands for many "
        "answers.",
        by_stage(evidence, "calibration")
        + page.table(
            "Expected calibration error: how far confidence and accuracy are apart, in the mean.",
            ["model", "ECE, points"],
            rows,
        ),
    )
