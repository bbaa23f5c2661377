"""How the trainings went."""

from __future__ import annotations

from quickspine.evaluation import page
from quickspine.evaluation.evidence import Evidence
from quickspine.evaluation.page import Section
from quickspine.evaluation.pairing import stages, told


def section(evidence: Evidence) -> Section | None:
    """The curves of each stage; none where no run has a history."""
    pictures = "".join(
        page.figure(evidence.figures[name], told(stage))
        for stage in stages(evidence.metrics)
        if (name := f"curves-{stage}") in evidence.figures
    )
    if not pictures:
        return None
    return Section(
        "training",
        "How training went",
        "A line is the mean over seeds of the accuracy on validation drawings after each pass over "
        "the training drawings; the band goes from the lowest seed to the highest.",
        f'<div class="pair">\n{pictures}</div>\n',
    )
