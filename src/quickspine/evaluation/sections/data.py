"""The drawings that the models saw."""

from __future__ import annotations

from quickspine.evaluation import drawings, page
from quickspine.evaluation.evidence import Evidence
from quickspine.evaluation.numbers import count
from quickspine.evaluation.page import Section


def section(evidence: Evidence) -> Section:
    """Where they come from, how many there are, and what they look like."""
    data = evidence.metrics["data"]
    kind = " (synthetic: a program drew it)" if data["synthetic"] else ""
    rows = [
        ("source", data["source"] + kind),
        ("licence", data["licence"]),
        ("attribution", data["attribution"]),
        ("for training", count(data["train"])),
        ("for validation", count(data["validation"])),
        ("for testing", count(data["test"])),
        ("categories", count(len(data["categories"]))),
        ("their names", ", ".join(data["categories"])),
    ]
    body = page.table("", [], rows, "facts")
    if evidence.contact_sheet is not None:
        alt = "Some drawings of each category"
        source = drawings.address(evidence.contact_sheet)
        body += page.figure(f'<img alt="{alt}" src="{source}">', f"{alt}.")
    return Section(
        "data",
        "The drawings",
        "Models learn from the training drawings; every choice looks at the validation drawings; "
        "the test drawings are answered once, at the end, and decide.",
        body,
    )
