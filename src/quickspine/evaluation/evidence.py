"""What the report is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from quickspine.evaluation.drawings import are_light
from quickspine.evaluation.examples import Bitmaps, Examples


@dataclass(frozen=True)
class Evidence:
    """Everything that the report shows; the same evidence gives the same bytes.

    Args:
        metrics: what `comparison.summarise` returned.
        figures: name to inline SVG, as `figures.write` returned them; taken as they are.
        examples: by stage, as `examples.pick` chose them.
        bitmaps: the drawings of the examples, uint8 [H, W, C] by position in the test split.
        environment: what the models were measured on, name to value, in the order to print.
        digests: sha256 of the params, the data and each model, in the order to print.
        contact_sheet: a PNG of some drawings, if there is one.
        notes: by stage, sentences that its verdict must not be read without.
    """

    metrics: dict[str, Any]
    figures: Mapping[str, str]
    examples: Mapping[str, Examples]
    bitmaps: Bitmaps
    environment: Mapping[str, object]
    digests: Mapping[str, str]
    contact_sheet: bytes | None = field(default=None, repr=False)
    notes: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @cached_property
    def light(self) -> bool:
        """Whether what is grey shows light strokes on a dark ground."""
        return are_light(self.bitmaps.values())

    @property
    def categories(self) -> list[str]:
        """Names in label order."""
        return list(self.metrics["data"]["categories"])
