"""evaluation/report.html: the answer first, then everything that it rests on."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quickspine.evaluation import page
from quickspine.evaluation.charts import STAGES
from quickspine.evaluation.comparison import DataInfo
from quickspine.evaluation.figures import title
from quickspine.evaluation.page import escape
from quickspine.files import whole_file

QUESTION = "Does a SpinalNet head beat a dense head?"
MINUS, SPACE = "\N{MINUS SIGN}", "\N{NO-BREAK SPACE}"
CAPTIONS = {
    "accuracy": "Test accuracy: small dots are seeds, the large mark is their mean, the line its "
    "95 % interval.",
    "curves": "Validation accuracy by epoch: thin lines are seeds, the thick line is their mean.",
}
METHOD = (
    "Both heads of a stage were trained with the same seeds, on the same drawings in the same "
    "order, and answered the same test drawings once, after every choice had been made on the "
    "validation drawings.",
    "The interval is a bootstrap that resamples drawings and seeds, widened (Student's t) because "
    "seeds are few: it speaks of other seeds and other drawings (with one seed, of other drawings "
    "only). The p-value is a paired test that swaps the two heads' answers drawing by drawing: it "
    "speaks of these trained models.",
    "A head is called better only if the interval excludes zero and the p-value is below one minus "
    "the confidence. A point is one per cent of the test drawings.",
)


def write(
    place: Path,
    metrics: dict[str, Any],
    figures: Mapping[str, str],
    data: DataInfo,
    environment: Mapping[str, object],
    contact_sheet: Path | None = None,
) -> None:
    """Write the report, whole or not at all; the same inputs give the same bytes.

    Args:
        place: the HTML file; it needs no other file and no network.
        metrics: what `comparison.summarise` returned.
        figures: name to inline SVG, as `figures.write` returned them; taken as they are.
        data: the drawings: source, licence, attribution, counts.
        environment: what to print under "How to repeat this", name to value, in that order.
        contact_sheet: a PNG of some drawings to embed, if there is one.
    """
    body = (
        _top(metrics, data)
        + _models(metrics)
        + _figures(figures)
        + _data(metrics, data, contact_sheet)
        + "<h2>How this was measured</h2>\n"
        + "".join(f"<p>{escape(text)}</p>\n" for text in METHOD)
        + "<h2>How to repeat this</h2>\n<pre>make repro</pre>\n"
        + "<p>With the same params, on the same machine, it gives the same numbers.</p>\n"
        + page.table("", [], environment.items(), "facts")
    )
    with whole_file(place) as partial:
        partial.write_text(page.document(QUESTION, body), encoding="utf-8")


def _points(share: float) -> str:
    return f"{100 * share:+.2f}".replace("-", MINUS)


def _p(value: float) -> str:
    return ("p < 0.0001" if value < 1e-4 else f"p = {value:.2g}").replace(" ", SPACE)


def _top(metrics: dict[str, Any], data: DataInfo) -> str:
    kind = "synthetic drawings" if data["synthetic"] else "drawings"
    text = (
        f"<h1>{QUESTION}</h1>\n"
        f'<p class="soft">{escape(data["source"])}: {len(metrics["data"]["categories"])} '
        f"categories, {data['train']:,} {kind} for training, {data['test']:,} for testing</p>\n"
    )
    if data["synthetic"]:
        text += (
            '<p class="synthetic"><strong>Synthetic drawings.</strong> A program drew them, not '
            "people: these numbers say how the heads compare on such drawings, and no more.</p>\n"
        )
    cards = [_card(stage, metrics) for stage in metrics["comparisons"]]
    if not cards:
        return text + "<p>No stage has both heads, so nothing is compared.</p>\n"
    return text + f'<div class="cards">\n{"".join(cards)}</div>\n'


def _card(stage: str, metrics: dict[str, Any]) -> str:
    found = metrics["comparisons"][stage]
    dense, spinal = (metrics["models"][f"{stage}-{head}"] for head in ("dense", "spinal"))
    verdict = found["verdict"][:1].upper() + found["verdict"][1:]
    low, high = (_points(end) for end in found["ci95"])
    reduction = found["error_reduction"]
    fewer = (
        ""
        if reduction is None
        else f", error reduction {reduction:.1f}{SPACE}%".replace("-", MINUS)
    )
    seeds = f"{found['seeds']} seeds" if found["seeds"] > 1 else "one seed"
    return (
        f'<section class="card"><h2>{escape(stage)}: {STAGES.get(stage, "")}</h2>\n'
        f'<p class="verdict">{escape(verdict)}</p>\n'
        f"<p>Spinal minus dense: {_points(found['accuracy_difference'])} points of test accuracy, "
        f"95{SPACE}% interval {low} to {high}, {escape(_p(found['p_value']))}{fewer}; "
        f"{seeds}.</p>\n"
        f'<p class="soft">Trainable parameters of the heads: dense '
        f"{dense['head_parameters']:,}, spinal {spinal['head_parameters']:,}.</p></section>\n"
    )


def _accuracy(found: dict[str, Any]) -> str:
    spread = f" ± {100 * found['std']:.2f}" if len(found["runs"]) > 1 else ""
    return f"{100 * found['mean']:.2f}{spread}"


def _models(metrics: dict[str, Any]) -> str:
    models = metrics["models"]
    top = next(key for key in next(iter(models.values())) if key.startswith("top"))
    rows = [
        (
            name,
            _accuracy(model["accuracy"]),
            f"{100 * model[top]['mean']:.2f}",
            f"{model['loss']['mean']:.3f}",
            f"{model['head_parameters']:,}",
            f"{model['parameters']:,}",
            f"{model['latency_ms']:.1f}",
        )
        for name, model in models.items()
    ]
    k = top.removeprefix("top").removesuffix("_accuracy")
    head = ["model", "accuracy, %", f"top-{k}, %", "loss", "head parameters", "parameters", "ms"]
    caption = (
        "Means over the seeds on the test drawings; ± is the standard deviation between seeds; "
        "ms is the time for one drawing."
    )
    return "<h2>The models</h2>\n" + page.table(caption, head, rows)


def _figures(figures: Mapping[str, str]) -> str:
    single = "".join(
        page.figure(svg, CAPTIONS[name], "wide" if name == "curves" else "")
        for name, svg in figures.items()
        if name in CAPTIONS
    )
    paired = "".join(
        page.figure(svg, title(name)) for name, svg in figures.items() if name not in CAPTIONS
    )
    text = f"<h2>Figures</h2>\n{single}" if single else ""
    if paired:
        text += (
            "<h2>What is taken for what</h2>\n<p>Of each true category (row), the per cent "
            "answered as each, over all seeds: right answers in blue, errors in orange.</p>\n"
            f'<div class="pair">\n{paired}</div>\n'
        )
    return text


def _data(metrics: dict[str, Any], data: DataInfo, contact_sheet: Path | None) -> str:
    kind = " (synthetic: a program drew it)" if data["synthetic"] else ""
    rows = [
        ("source", data["source"] + kind),
        ("drawings", f"{data['train']:,} for training, {data['validation']:,} for validation, "
                     f"{data['test']:,} for testing"),
        ("categories", ", ".join(metrics["data"]["categories"])),
        ("licence", data["licence"]),
        ("attribution", data["attribution"]),
    ]  # fmt: skip
    text = "<h2>The drawings</h2>\n" + page.table("", [], rows, "facts")
    if contact_sheet is not None:
        code = base64.b64encode(contact_sheet.read_bytes()).decode("ascii")
        alt = "Some drawings of each category"
        text += page.figure(f'<img alt="{alt}" src="data:image/png;base64,{code}">', f"{alt}.")
    return text
