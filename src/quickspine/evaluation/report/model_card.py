"""evaluation/model-card.md: what the models are, how they performed, and their limits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quickspine.evaluation.report import recipe
from quickspine.evaluation.report.numbers import several
from quickspine.evaluation.report.page import facts, template
from quickspine.files import whole_file
from quickspine.params import Params

# All that can be markup inside a line, on GitHub too: ":" and "www." make links of addresses,
# "@" of names, "~" strikes out, "$" begins a formula.
MARKS = re.compile(r"([\\`*_{}\[\]<>#!|~&$@:^]|(?<=[wW])\.)")


def escape(value: object) -> str:
    """Escape Markdown: one line of text in which nothing is markup; not what is marked `safe`."""
    if hasattr(value, "__html__"):
        return str(value)
    return MARKS.sub(r"\\\1", " ".join(str(value).split()))


def write(place: Path, metrics: dict[str, Any], params: Params, digests: Mapping[str, str]) -> None:
    """Write the card, whole or not at all; the same inputs give the same bytes."""
    with whole_file(place) as partial:
        partial.write_text(render(metrics, params, digests), encoding="utf-8")


def render(metrics: dict[str, Any], params: Params, digests: Mapping[str, str]) -> str:
    """Render the card, in Markdown.

    Args:
        metrics: from `comparison.summarise`.
        params: those the models were trained with.
        digests: sha256 by name, of params, data and each model.
    """
    name, first = next(iter(metrics["models"].items()))
    train, tuned = params.train, params.finetune
    shared = facts(metrics)
    return template("model-card.md", escape).render(
        **shared,
        params=params,
        digests=digests,
        an="a" if shared["noun"] == "drawing" else "an",
        seeds=min(len(model["seeds"]) for model in metrics["models"].values()),
        first=f"{name}-{first['seeds'][0]}",
        several=several,
        recipe={
            "train": recipe.descent(train, train.learning_rate),
            "finetune": recipe.descent(tuned, tuned.head_learning_rate),
            "features": " ".join(recipe.features(train)),
            "start": " ".join(recipe.start(tuned)),
            "changes": ", ".join(recipe.changes(train.augment)),
            "blocks": recipe.blocks(tuned),
        },
    )
