"""Whether a model is right as often as it is sure."""

from __future__ import annotations

from quickspine.evaluation import page
from quickspine.evaluation.evidence import Evidence
from quickspine.evaluation.numbers import spread
from quickspine.evaluation.page import Section
from quickspine.evaluation.pairing import heads, stages, told


def section(evidence: Evidence) -> Section:
    """The reliability curves, with the error of each head."""
    metrics = evidence.metrics
    rows = [
        (f"{stage}-{head}", spread(model["calibration_error"]))
        for stage in stages(metrics)
        for head, model in heads(metrics, stage).items()
    ]
    pictures = "".join(
        page.figure(evidence.figures[name], told(stage))
        for stage in stages(metrics)
        if (name := f"calibration-{stage}") in evidence.figures
    )
    return Section(
        "calibration",
        "Can its confidence be believed?",
        "Of the answers given with 80 % confidence, 80 % should be right: on the dashed line they "
        "are, below it the model is too sure, above it too modest. A large mark stands for many "
        "answers.",
        f'<div class="pair">\n{pictures}</div>\n'
        + page.table(
            "Expected calibration error: how far confidence and accuracy are apart, in the mean.",
            ["model", "ECE, points"],
            rows,
        ),
    )
