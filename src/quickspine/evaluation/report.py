"""evaluation/report.html: the answer first, then everything that it rests on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from quickspine.evaluation import page
from quickspine.evaluation.evidence import Evidence
from quickspine.evaluation.page import Section
from quickspine.evaluation.sections import (
    calibration,
    categories,
    costs,
    data,
    drawn,
    method,
    models,
    pairs,
    training,
    verdict,
)
from quickspine.evaluation.wording import fitting
from quickspine.files import whole_file

ORDER: tuple[Callable[[Evidence], Section | None], ...] = (
    models.section,
    pairs.section,
    training.section,
    costs.section,
    categories.accuracies,
    categories.confusion,
    drawn.apart,
    drawn.confusions,
    calibration.section,
    data.section,
    method.method,
    method.repeat,
)


def text(evidence: Evidence) -> str:
    """The page, which needs no other file and no network."""
    sections = [found for section in ORDER if (found := section(evidence)) is not None]
    body = verdict.top(evidence.metrics, evidence.notes) + page.contents(sections)
    whole = fitting(body + "".join(map(str, sections)), evidence.metrics["data"])
    return page.document(verdict.QUESTION, whole)


def write(place: Path, evidence: Evidence) -> None:
    """Write the report, whole or not at all; the same evidence gives the same bytes."""
    with whole_file(place) as partial:
        partial.write_text(text(evidence), encoding="utf-8")
