"""evaluation/report.html: one self-contained page, the answer first."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2

from quickspine.evaluation import summary
from quickspine.evaluation.report import category_charts, charts
from quickspine.evaluation.report.examples import Examples
from quickspine.evaluation.report.figures import Chart
from quickspine.evaluation.report.images import Bitmaps, are_light, data_uri, png
from quickspine.evaluation.report.numbers import FILTERS
from quickspine.files import whole_file
from quickspine.tracking.environment import environment, versions

TEMPLATES = jinja2.PackageLoader("quickspine.evaluation.report")
PACKAGES = ("quickspine", "tensorflow", "keras", "numpy", "scipy", "matplotlib", "pillow")


@functools.cache
def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=TEMPLATES,
        autoescape=True,  # category names and attributions come from strangers
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.do"],
    )
    made.filters |= FILTERS
    return made


@dataclass(frozen=True)
class Report:
    """Everything that the report shows; equal content gives equal bytes.

    Args:
        metrics: from `comparison.summarise`.
        charts: by name, from `figures.write`.
        examples: by stage, from `examples.pick`.
        bitmaps: the images of the examples, uint8 [H, W, C] by position in the test split.
        digests: sha256 of the params, the data and each model, in the order to print.
        environment: hardware and versions, name to value, in the order to print.
        contact_sheet: a PNG of some images, if there is one.
        notes: by stage, sentences that its verdict must not be read without.
    """

    metrics: dict[str, Any]
    charts: Mapping[str, Chart]
    examples: Mapping[str, Examples]
    bitmaps: Bitmaps
    digests: Mapping[str, str]
    environment: Mapping[str, object]
    contact_sheet: bytes | None = field(default=None, repr=False)
    notes: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def render(self) -> str:
        """Render the page, which needs no other file, no script and no network."""
        metrics, light = self.metrics, are_light(self.bitmaps.values())
        stages = {stage: summary.heads(metrics, stage) for stage in summary.stages(metrics)}
        top = next(key for key in next(iter(metrics["models"].values())) if key.startswith("top"))
        return (
            _environment()
            .get_template("report.html")
            .render(
                metrics=metrics,
                data=metrics["data"],
                categories=metrics["data"]["categories"],
                noun=summary.noun(metrics["data"]),
                stages=stages,
                stage_names=summary.STAGES,
                pairs=summary.main_pairs(metrics),
                top_key=top,
                top_k=top.removeprefix("top").removesuffix("_accuracy"),
                charts=self.charts,
                has_curves=any(name.startswith("curves-") for name in self.charts),
                costs=list(charts.COSTS),
                most_categories=category_charts.SHOWN,
                examples=self.examples,
                images={at: data_uri(png(each, light=light)) for at, each in self.bitmaps.items()},
                digests=self.digests,
                environment=self.environment,
                contact_sheet=None if self.contact_sheet is None else data_uri(self.contact_sheet),
                notes=self.notes,
                is_significant=summary.is_significant,
            )
        )

    def write(self, place: Path) -> None:
        """Write the page, whole or not at all."""
        with whole_file(place) as partial:
            partial.write_text(self.render(), encoding="utf-8")


def describe_environment() -> dict[str, str]:
    """Hardware and versions; equal on the same machine with the same packages.

    No date, no git commit, no path: those would change the report's bytes where nothing that it
    reports has changed.
    """
    facts = environment()
    processor = f"{facts['processor'] or facts['machine']}, {facts['processors']} processors"
    return {
        "device": ", ".join(facts["gpus"]) or processor,
        "Python": str(facts["python"]),
        **versions(*PACKAGES),
    }
