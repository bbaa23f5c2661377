"""What accuracy costs."""

from __future__ import annotations

from quickspine.evaluation import page
from quickspine.evaluation.cost_charts import COSTS
from quickspine.evaluation.evidence import Evidence
from quickspine.evaluation.page import Section, escape
from quickspine.evaluation.pairing import stages, told


def section(evidence: Evidence) -> Section | None:
    """Accuracy against parameters and time, a row of charts a stage."""
    body = ""
    for stage in stages(evidence.metrics):
        pictures = "".join(
            page.figure(evidence.figures[name], f"Against {cost.words}.")
            for measure, cost in COSTS.items()
            if (name := f"{measure}-{stage}") in evidence.figures
        )
        if pictures:
            body += f'<h3>{escape(told(stage))}</h3>\n<div class="trio">\n{pictures}</div>\n'
    if not body:
        return None
    return Section(
        "costs",
        "Accuracy against what it costs",
        "Further up is better, further left is cheaper; the upright line is the 95 % interval of "
        "the accuracy. Look at the scale: it does not start at zero.",
        body,
    )
