"""How the trainings went."""

from __future__ import annotations

from quickspine.evaluation.evidence import Evidence
from quickspine.evaluation.page import Section
from quickspine.evaluation.sections.pictures import by_stage


def section(evidence: Evidence) -> Section | None:
    """The curves of each stage; none where no run has a history."""
    pictures = by_stage(evidence, "curves")
    if not pictures:
        return None
    return Section(
        "training",
        "How training went",
        "A line is the mean over seeds of the accuracy on validation drawings after each pass over "
        "the training drawings; the band goes from the lowest seed to the highest.",
        pictures,
    )
