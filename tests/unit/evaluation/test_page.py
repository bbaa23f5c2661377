"""The report: every number is the metrics', every name is text, nothing is loaded."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from quickspine.evaluation.report import numbers, page
from quickspine.params import Evaluate
from tests.unit.evaluation.made import made, summary

HEADS = ("linear", "dense", "matched", "spinal", "progressive")
HOSTILE = (
    "<script>alert(1)</script>",
    "</text></svg><img src=x onerror=alert(1)>",
    '" onload="alert(1)',
    "' style='x",
    "<!-- a -->",
    "]]><b>",
    "&lt;b&gt; &amp;",
    "{{ 7 * 7 }} {% raw %}",
    "javascript:alert(1)",
    "مرحبا 日本",
    r"$\frac{1}{2}$",
)
letters = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])
NAMES = st.sampled_from(HOSTILE) | st.text(letters, min_size=1, max_size=30)


class Outline(HTMLParser):
    """A page's tags (checked for nesting), attributes, text, headings and table rows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.text, self.open = "", [""]
        self.headings: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(text)
        self.close()
        assert self.open == [""]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in {"meta", "img", "br"}:
            self.open.append(tag)
        if tag == "h2":
            self.headings.append("")
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag in {"dt", "th", "td"}:
            self.text += " "

    def handle_data(self, data: str) -> None:
        if self.open[-1] == "style":
            return
        self.text += data
        if self.open[-1] == "h2":
            self.headings[-1] += data
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data if self.open[-1] != "small" else f"|{data}"


def outline(case: Any, evaluate: Evaluate, **options: Any) -> Outline:
    return Outline(made(case, summary(case, evaluate), **options).render())


def test_every_section_is_linked(make: Any, evaluate: Evaluate) -> None:
    found = outline(make(heads=HEADS, stages=("train",)), evaluate)
    assert {"Models", "All pairs of heads", "Confusion matrix"} < set(found.headings)
    ids = {value for _, name, value in found.attributes if name == "id"}
    links = {(value or "")[1:] for _, name, value in found.attributes if name == "href"}
    assert len(links) == 11
    assert links == ids


def test_one_file_that_loads_nothing(make: Any, evaluate: Evaluate) -> None:
    sheet = b"\x89PNG images"
    case = make()
    report = made(case, summary(case, evaluate), contact_sheet=sheet)
    found = Outline(report.render())
    assert not {"script", "link", "iframe", "object", "form"} & set(found.tags)
    sources = [value or "" for _, name, value in found.attributes if name == "src"]
    assert all(re.match(r"data:image/(png|svg\+xml);base64,", source) for source in sources)
    assert sources[-1].endswith(base64.b64encode(sheet).decode())
    assert not re.search(r"url\((?!#)|@import", report.render())
    assert "default-src 'none'" in report.render()


def test_equal_content_gives_equal_bytes(make: Any, evaluate: Evaluate, tmp_path: Path) -> None:
    for name in ("a.html", "b.html"):
        case = make()
        made(case, summary(case, evaluate)).write(tmp_path / name)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def spread(values: dict[str, Any]) -> list[float]:
    return [100 * values["mean"], *([100 * values["std"]] if len(values["runs"]) > 1 else [])]


def shown(text: str) -> list[tuple[float, int]]:
    """The numbers in a text, each with its digits behind the point."""
    plain = text.replace(numbers.MINUS, "-").replace(",", "")
    parts = re.findall(r"(?<![\w.])[-+]?\d+(?:\.\d+)?", plain)
    return [(float(part), len(part.partition(".")[2])) for part in parts]


def as_shown(text: str, values: list[float]) -> bool:
    """Whether the numbers in the text are these, rounded."""
    return len(shown(text)) == len(values) and all(
        abs(number - value) <= 0.5 * 10**-digits + 1e-9
        for (number, digits), value in zip(shown(text), values, strict=True)
    )


@pytest.mark.parametrize("seeds", [(1, 2, 3), (5,)])
@pytest.mark.parametrize("heads", [("dense", "spinal"), HEADS, ("dense",)])
def test_tables_hold_the_numbers_of_the_metrics(
    make: Any, evaluate: Evaluate, seeds: tuple[int, ...], heads: tuple[str, ...]
) -> None:
    case = make(seeds=seeds, heads=heads, stages=("train",))
    metrics = summary(case, evaluate)
    rows = Outline(made(case, metrics).render()).rows
    start = rows.index(["", *heads])
    table = {name: cells for name, *cells in rows[start + 1 : start + 18]}
    assert len(table) == 17
    for column, head in enumerate(heads):
        model = metrics["models"][f"train-{head}"]
        for name, values in {
            "accuracy, %": spread(model["accuracy"]),
            "95 % interval, %|of the accuracy": [100 * end for end in model["accuracy"]["ci95"]],
            "top-2 accuracy, %": spread(model["top2_accuracy"]),
            "loss|cross-entropy, nats": [model["loss"]["mean"]],
            "calibration error, points|ECE; 0 is best": spread(model["calibration_error"]),
            "trainable parameters": [model["parameters"]],
            "multiply-adds of the head|per image": [model["head_multiplications"]],
            "activations, MiB|of the largest layer": [model["memory"]["activations_bytes"] / 2**20],
            "latency, ms|batch of 256, 95th percentile": [model["latency"]["256"]["p95_ms"]],
            "training, seconds|per seed": [model["training_seconds"]],
        }.items():
            assert as_shown(table[name][column], values), (name, head)
    pairs = [row for row in rows if f" {numbers.MINUS} " in row[0]][1:]
    assert len(pairs) == (10 if len(heads) > 2 else 0)
    for name, difference, interval, permutation, bootstrap, holm, _, verdict in pairs:
        pair = metrics["pairs"]["train"][name.replace(f" {numbers.MINUS} ", "-")]
        assert as_shown(difference, [100 * pair["accuracy_difference"]])
        assert as_shown(interval, [100 * end for end in pair["ci95"]])
        for cell, key in ((permutation, "p_value"), (bootstrap, "p_bootstrap"), (holm, "p_holm")):
            assert cell == numbers.p(pair[key])
        assert pair["verdict"].startswith(verdict)


def card(case: Any, metrics: dict[str, Any], **options: Any) -> str:
    """The text of the first card, details included."""
    text = made(case, metrics, **options).render()
    found = re.search(r'<section class="card">.*?</section>', text, re.DOTALL)
    assert found
    return " ".join(Outline(found[0]).text.split())


def test_a_card_holds_the_verdict_at_one_glance(make: Any, evaluate: Evaluate) -> None:
    case = make(spinal=0.99)
    metrics = summary(case, evaluate)
    pair = metrics["comparisons"]["train"]
    words = card(case, metrics, notes={"train": ["Heads see the average."]})
    glance, _, details = words.partition("Statistics")
    assert glance.startswith("train: from random weights Spinal better ")
    for value in (
        f"{numbers.points(pair['accuracy_difference'])} points",
        numbers.difference(pair["ci95"]),
        f"p-value (Holm-corrected) {numbers.p(pair['p_holm']).replace(numbers.SPACE, ' ')}",
        "Seeds 3",
        "Test drawings 100",
        "Heads see the average.",
    ):
        assert value in glance
    for each in pair["mcnemar"]:
        assert f"seed {each['seed']} {each['better']} {each['worse']} " in details
    for key in ("p_value", "p_bootstrap"):
        assert f"p-value {numbers.p(pair[key]).replace(numbers.SPACE, ' ')}" in details
    effect = numbers.percent(pair["minimum_detectable_effect"])
    assert f"Minimum detectable effect (80 % power) {effect} points" in details
    assert "Detecting" not in details


def test_an_open_verdict_says_what_its_difference_needs(make: Any, evaluate: Evaluate) -> None:
    case = make()
    metrics = summary(case, evaluate)
    metrics["comparisons"]["train"]["needed"]["words"] = "detecting 1 point needs <12> seeds"
    words = card(case, metrics)
    assert "No significant difference" in words
    assert "Detecting 1 point needs <12> seeds." in words


def test_odd_cases(make: Any, evaluate: Evaluate) -> None:
    one_seed = make(seeds=(1,))
    words = card(one_seed, summary(one_seed, evaluate))
    assert "One seed: this says nothing about other seeds." in words
    sure = evaluate.model_copy(update={"confidence": 0.99})
    case = make()
    assert "99 % confidence interval" in card(case, summary(case, sure))
    alone = outline(make(heads=("dense",)), evaluate)
    assert "there is no verdict" in alone.text
    assert "Where the heads disagree" not in alone.headings
    metrics = summary(case, evaluate)
    metrics["models"]["train-dense"]["training_seconds"] = None
    assert "not measured" in made(case, metrics, charts=made(case, metrics).charts).render()
    many = make(categories=[f"category {number}" for number in range(345)], seeds=(1, 2))
    assert "Only 30 of the 345 are shown" in outline(many, evaluate).text
    for run in case.runs:
        run.logits[:] = np.eye(4, dtype=np.float32)[case.labels] * 9
    perfect = outline(case, evaluate)
    assert "every seed of dense wrong: 0" in perfect.text
    assert "Most frequent confusions" not in perfect.text


def test_images_are_called_drawings_only_where_they_are(make: Any, evaluate: Evaluate) -> None:
    case = make()
    assert "Synthetic drawings." in outline(case, evaluate).text
    case = make(synthetic=False)
    assert "ynthetic" not in outline(case, evaluate).text
    case.data["source"] = "folder birds"
    assert "drawing" not in outline(case, evaluate).text.lower()


def test_the_images_of_the_examples_are_shown(make: Any, evaluate: Evaluate) -> None:
    case = make(stages=("train",))
    report = made(case, summary(case, evaluate))
    found, names = Outline(report.render()), case.categories
    chosen = report.examples["train"]
    expected = [place for each in chosen.confusions for place in each.positions]
    expected += [each.position for one in chosen.disagreements for each in one.shown]
    alts = [value for _, name, value in found.attributes if name == "alt"]
    assert [alt for alt in alts if alt != "a chart"] == [
        f"{names[case.labels[place]]}, test image {place}" for place in expected
    ]
    text = " ".join(found.text.split())
    for one in chosen.disagreements:
        for each in one.shown:
            right = f"{one.winner}: {names[each.label]} ({each.right}/3)"
            assert f"{right} {one.loser}: {names[each.answer]} ({each.wrong}/3)" in text
    for pair in chosen.confusions:
        assert f"{names[pair.label]} predicted as {names[pair.answer]}" in text


def shape(found: Outline) -> tuple[list[str], list[tuple[str, str]]]:
    """Tags and the names of their attributes: what must not depend on any name."""
    return found.tags, [(tag, name) for tag, name, _ in found.attributes]


@settings(max_examples=8)
@given(names=st.lists(NAMES, min_size=3, max_size=3, unique=True))
@example(names=list(HOSTILE[:3]))
@example(names=list(HOSTILE[6:9]))
def test_no_name_becomes_markup_in_the_report(
    make: Any, evaluate: Evaluate, names: list[str]
) -> None:
    case = make(categories=["apple", "cat", "key"], seeds=(1,), stages=("train",))
    report = made(case, summary(case, evaluate))

    def written(names: list[str]) -> Outline:
        named = {"categories": names, "attribution": names[0], "licence": names[0]}
        metrics = {**report.metrics, "data": {**report.metrics["data"], **named}}
        environment = {names[0]: names[-1]}
        return Outline(replace(report, metrics=metrics, environment=environment).render())

    found = written(names)
    assert shape(found) == shape(written(["apple", "cat", "key"]))
    assert ", ".join(names) in found.text  # as they are, for a reader's eyes


def test_the_environment_does_not_vary_from_run_to_run() -> None:
    found = page.describe_environment()
    assert found == page.describe_environment()
    assert list(found)[:2] == ["device", "Python"]
    assert not re.search(r"\b20\d\d-\d\d-\d\d\b|(?:^|\s)/\w", " ".join(found.values()))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (numbers.p(0.03125), "0.031"),
        (numbers.p(2e-5), f"<{numbers.SPACE}0.0001"),
        (numbers.points(-0.0125), f"{numbers.MINUS}1.25"),
        (numbers.points(-0.000001), "+0.00"),
        (numbers.signed(-0.01), "0.0"),
        (numbers.spread({"mean": 0.9761, "std": 0.0012, "runs": [0.9761]}), "97.61"),
        (numbers.spread({"mean": 0.9761, "std": 0.0012, "runs": [1, 2]}), "97.61 ± 0.12"),
        (numbers.several(1, "seed"), "one seed"),
        (numbers.several(2, "category", "categories"), "2 categories"),
    ],
)
def test_numbers(text: str, expected: str) -> None:
    assert text == expected
