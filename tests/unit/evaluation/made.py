"""What made-up runs come to: their summary, and all that a report of them is made of."""

from __future__ import annotations

from typing import Any

import numpy as np

from quickspine.evaluation import pairing
from quickspine.evaluation.comparison import summarise
from quickspine.evaluation.evidence import Evidence
from quickspine.evaluation.examples import pick, positions
from quickspine.params import Evaluate

ENVIRONMENT = {"Python": "3.11", "device": "<CPU> & co"}
DIGESTS = {"params": "a" * 64, "data": "b" * 64, "train-dense-1": "c" * 64}


def summary(case: Any, evaluate: Evaluate) -> dict[str, Any]:
    """The content of metrics.json."""
    return summarise(case.runs, case.labels, case.categories, case.data, evaluate)


def evidence(
    case: Any, metrics: dict[str, Any], figures: dict[str, str] | None = None, **options: Any
) -> Evidence:
    """All that a report of these runs is made of; each drawing is a bar as wide as its place."""
    examples = pick(case.runs, case.labels, pairing.main_pairs(metrics))
    bitmaps = {}
    for place in positions(examples):
        bitmaps[place] = np.zeros((28, 28, 1), np.uint8)
        bitmaps[place][10:18, : 1 + place % 28] = 255
    defaults: dict[str, Any] = {
        "environment": ENVIRONMENT,
        "digests": DIGESTS,
        "contact_sheet": None,
    }
    return Evidence(metrics, figures or {}, examples, bitmaps, **(defaults | options))
