"""The same picture of each stage, side by side."""

from __future__ import annotations

from quickspine.evaluation import page
from quickspine.evaluation.evidence import Evidence
from quickspine.evaluation.pairing import stages, told


def by_stage(evidence: Evidence, kind: str) -> str:
    """The figures `<kind>-<stage>` that are there, as markup; empty where none is."""
    figures = "".join(
        page.figure(evidence.figures[name], told(stage))
        for stage in stages(evidence.metrics)
        if (name := f"{kind}-{stage}") in evidence.figures
    )
    return f'<div class="pair">\n{figures}</div>\n' if figures else ""
