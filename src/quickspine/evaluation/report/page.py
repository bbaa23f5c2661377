"""evaluation/report.html: one self-contained page, the answer first."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
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

PACKAGES = ("quickspine", "tensorflow", "keras", "numpy", "scipy", "matplotlib", "pillow")


@functools.cache
def template(name: str, escape: Callable[[object], str] | None = None) -> jinja2.Template:
    """A template of the report; names of categories and the like come from strangers.

    Args:
        name: of its file.
        escape: makes text of every value; None: values are escaped for HTML.
    """
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("quickspine.evaluation.report"),
        autoescape=escape is None,  # noqa: S701 - else `finalize` escapes
        finalize=escape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=escape is not None,
        extensions=["jinja2.ext.do"],
    )
    made.filters |= FILTERS
    return made.get_template(name)


def facts(metrics: dict[str, Any]) -> dict[str, Any]:
    """What both the report and the model card say of `metrics`, by the names in the templates."""
    top = next(key for key in next(iter(metrics["models"].values())) if key.startswith("top"))
    return {
        "metrics": metrics,
        "data": metrics["data"],
        "noun": summary.noun(metrics["data"]),
        "stages": {stage: summary.heads(metrics, stage) for stage in summary.stages(metrics)},
        "stage_names": summary.STAGES,
        "top_key": top,
        "top_k": top.removeprefix("top").removesuffix("_accuracy"),
        "is_significant": summary.is_significant,
    }


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
        light = are_light(self.bitmaps.values())
        return template("report.html").render(
            **facts(self.metrics),
            categories=self.metrics["data"]["categories"],
            pairs=summary.main_pairs(self.metrics),
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
