"""All pairs of heads, where there are more than two."""

from __future__ import annotations

from typing import Any

from quickspine.evaluation import numbers, page
from quickspine.evaluation.evidence import Evidence
from quickspine.evaluation.numbers import MINUS, points
from quickspine.evaluation.page import Section, escape
from quickspine.evaluation.pairing import told

HEAD = [
    f"first {MINUS} second",
    "points",
    "95 % interval",
    "p, swaps",
    "p, interval",
    "p, Holm",
    "error reduction, %",
    "verdict",
]


def section(evidence: Evidence) -> Section | None:
    """A table a stage; none where no stage has more than two heads."""
    shown = {stage: pairs for stage, pairs in evidence.metrics["pairs"].items() if len(pairs) > 1}
    if not shown:
        return None
    body = "".join(
        f"<h3>{escape(told(stage))}</h3>\n{_table(pairs)}" for stage, pairs in shown.items()
    )
    return Section(
        "pairs",
        "Every head against every other",
        "A row is the accuracy of the first head minus that of the second; a claim takes the "
        "larger of two p-values and needs it small after Holm's correction for their number.",
        body,
    )


def _table(pairs: dict[str, dict[str, Any]]) -> str:
    rows = [
        (
            pair.replace("-", f" {MINUS} "),
            points(found["accuracy_difference"]),
            f"{points(found['ci95'][0])} to {points(found['ci95'][1])}",
            bare(found["p_value"]),
            bare(found["p_bootstrap"]),
            bare(found["p_holm"]),
            "none to reduce"
            if found["error_reduction"] is None
            else numbers.signed(found["error_reduction"]),
            found["verdict"],
        )
        for pair, found in pairs.items()
    ]
    return page.table("", HEAD, rows, "numbers worded")


def bare(value: float) -> str:
    """A p-value in a column of them."""
    return numbers.p(value).removeprefix("p").strip().removeprefix("=").strip()
