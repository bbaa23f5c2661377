"""Where the models err, category by category."""

from __future__ import annotations

from quickspine.evaluation import page, pairing
from quickspine.evaluation.category_chart import SHOWN
from quickspine.evaluation.evidence import Evidence
from quickspine.evaluation.figures import title
from quickspine.evaluation.page import Section
from quickspine.evaluation.pairing import STAGES, stages


def accuracies(evidence: Evidence) -> Section | None:
    """Accuracy by category, a picture a stage."""
    pictures = "".join(
        page.figure(evidence.figures[name], f"{stage}: {STAGES.get(stage, '')}")
        for stage in stages(evidence.metrics)
        if (name := f"categories-{stage}") in evidence.figures
    )
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
        f'{words}</p>\n<div class="pair">\n{pictures}</div>\n',
    )


def confusion(evidence: Evidence) -> Section | None:
    """The confusion matrix of every model."""
    pictures = "".join(
        page.figure(evidence.figures[name], f"{title(name)}.", "matrix")
        for model in evidence.metrics["models"]
        if (name := f"confusion-{model}") in evidence.figures
    )
    if not pictures:
        return None
    return Section(
        "confusion",
        "What is taken for what",
        "A row is a true category, a column an answer, a cell the per cent of that row over all "
        "seeds: right answers are blue, errors orange.",
        f'<div class="pair">\n{pictures}</div>\n',
    )
