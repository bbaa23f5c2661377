"""What made-up runs come to: their summary, and a report of them."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from quickspine.evaluation.comparison import summarise
from quickspine.evaluation.report.examples import pick, positions
from quickspine.evaluation.report.figures import Chart
from quickspine.evaluation.report.page import Report
from quickspine.evaluation.summary import main_pairs
from quickspine.params import Evaluate

ENVIRONMENT = {"Python": "3.11", "device": "<CPU> & co"}
DIGESTS = {"params": "a" * 64, "data": "b" * 64, "train-dense-1": "c" * 64}


def summary(case: Any, evaluate: Evaluate) -> dict[str, Any]:
    """The content of metrics.json."""
    return summarise(case.runs, case.labels, case.categories, case.data, evaluate)


def made(case: Any, metrics: dict[str, Any], **options: Any) -> Report:
    """A report of these runs; each image is a bar as wide as its position."""
    examples = pick(case.runs, case.labels, main_pairs(metrics))
    bitmaps = {}
    for place in positions(examples):
        bitmaps[place] = np.zeros((28, 28, 1), np.uint8)
        bitmaps[place][10:18, : 1 + place % 28] = 255
    chart = Chart("a chart", "data:image/svg+xml;base64,PHN2Zy8+", 400, 300)
    defaults: dict[str, Any] = {
        "charts": defaultdict(lambda: chart, {"curves-train": chart}),
        "environment": ENVIRONMENT,
        "digests": DIGESTS,
    }
    return Report(metrics, examples=examples, bitmaps=bitmaps, **(defaults | options))
