"""Where the models err, category by category."""

from __future__ import annotations

from quickspine.evaluation import page, pairing
from quickspine.evaluation.category_chart import SHOWN
from quickspine.evaluation.evidence import Evidence
from quickspine.evaluation.figures import title
from quickspine.evaluation.page import Section
from quickspine.evaluation.sections.pictures import by_stage


def accuracies(evidence: Evidence) -> Section | None:
    """Accuracy by category, a picture a stage."""
    pictures = by_stage(evidence, "categories")
    if not pictures:
        return None
    total = len(evidence.categories)
    both = any(pair is not None for pair in pairing.main_pairs(evidence.metrics).values())
    first = "the two heads differ most on" if both else "are the hardest"
    words = f"<p>Categories that {first} come first."
    if total > SHOWN:
        words += (
            f" Only {SHOWN} of the {total} are shown; all are in plots/per-category.csv. Among so "
            "many, some differ by luck alone: this is where to look, not what was found."
        )
    return Section(
        "categories",
        "Accuracy by category",
        "A mark is the share of a category's test drawings that were answered right, the mean over "
        "seeds; the line is its 95 % (Wilson) interval for that many drawings.",
        f"{words}</p>\n{pictures}",
    )


def confusion(evidence: Evidence) -> Section | None:
    """The confusion matrix of every model; those of other heads than the main two folded away."""
    shown, folded = "", ""
    for stage, pair in pairing.main_pairs(evidence.metrics).items():
        for head in pairing.heads(evidence.metrics, stage):
            name = f"confusion-{stage}-{head}"
            if name not in evidence.figures:
                continue
            picture = page.figure(evidence.figures[name], f"{title(name)}.", "matrix")
            if pair is None or head in pair:
                shown += picture
            else:
                folded += picture
    if not shown + folded:
        return None
    if folded:
        folded = f"<details><summary>The other heads</summary>\n{folded}</details>\n"
    return Section(
        "confusion",
        "What is taken for what",
        "A row is a true category, a column an answer, a cell the per cent of that row over all "
        "seeds: right answers are blue, errors orange.",
        shown + folded,
    )
