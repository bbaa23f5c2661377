from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from quickspine.evaluation import report
from quickspine.evaluation.comparison import summarise
from quickspine.params import Evaluate

FIGURES = {"accuracy": "<svg>ACCURACY</svg>", "confusion-train-dense": "<svg>CONFUSION</svg>"}
ENVIRONMENT = {"python": "3.11", "device": "<CPU> & co"}
VOID = {"meta", "img", "br"}


class Outline(HTMLParser):
    """The page's tags (checked for nesting), attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.text, self.open = "", [""]
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1] != "style":
            self.text += data


def page(place: Path, case: Any, evaluate: Evaluate, **options: Any) -> str:
    metrics = summarise(case.runs, case.labels, case.categories, case.data, evaluate)
    report.write(place, metrics, FIGURES, case.data, ENVIRONMENT, **options)
    return place.read_text(encoding="utf-8")


def test_the_answer_first_and_all_that_it_rests_on(
    make: Any, evaluate: Evaluate, tmp_path: Path
) -> None:
    case = make(spinal=0.99)
    outline = Outline(page(tmp_path / "report.html", case, evaluate))
    assert outline.open == [""]
    text = outline.text
    order = [report.QUESTION, "Synthetic drawings.", "Spinal better", "The models", "ACCURACY",
             "CONFUSION", "The drawings", "CC BY 4.0", "How to repeat this"]  # fmt: skip
    places = [text.index(words) for words in order]
    assert places == sorted(places)
    for words in (
        "train-dense",
        "7,850",
        "95\N{NO-BREAK SPACE}% interval",
        "3 seeds",
        "<CPU> & co",
    ):
        assert words in text


def test_it_needs_no_network_and_no_script(make: Any, evaluate: Evaluate, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    sheet.write_bytes(b"\x89PNG drawings")
    text = page(tmp_path / "report.html", make(), evaluate, contact_sheet=sheet)
    outline = Outline(text)
    assert not {"script", "link", "iframe", "object"} & set(outline.tags)
    code = base64.b64encode(sheet.read_bytes()).decode()
    links = [value for _, name, value in outline.attributes if name in ("src", "href")]
    assert links == [f"data:image/png;base64,{code}"]
    assert not re.search(r"url\((?!#)|@import", text)
    assert ("meta", "name", "viewport") in outline.attributes
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


def test_names_of_strangers_are_escaped(make: Any, evaluate: Evaluate, tmp_path: Path) -> None:
    case = make(categories=["<script>alert(1)</script>", "a&b", '"quoted"'], seeds=(1,))
    outline = Outline(page(tmp_path / "report.html", case, evaluate))
    assert "script" not in outline.tags
    assert '<script>alert(1)</script>, a&b, "quoted"' in outline.text
    assert "nobody & <nothing>" in outline.text


def test_same_inputs_same_bytes(make: Any, evaluate: Evaluate, tmp_path: Path) -> None:
    one, two = (page(tmp_path / name, make(), evaluate) for name in ("a.html", "b.html"))
    assert one == two


def test_only_synthetic_drawings_are_called_so(
    make: Any, evaluate: Evaluate, tmp_path: Path
) -> None:
    text = Outline(page(tmp_path / "a.html", make(synthetic=False), evaluate)).text
    assert "ynthetic" not in text
    assert "quickdraw" in text


def test_one_seed(make: Any, evaluate: Evaluate, tmp_path: Path) -> None:
    text = Outline(page(tmp_path / "a.html", make(seeds=(1,)), evaluate)).text
    assert "this says nothing about other seeds" in text
    assert "; one seed." in text
    assert " ± 0.00" not in text


def test_nothing_to_compare(make: Any, evaluate: Evaluate, tmp_path: Path) -> None:
    text = Outline(page(tmp_path / "a.html", make(heads=("dense",)), evaluate)).text
    assert "nothing is compared" in text
    assert "train-dense" in text


@pytest.mark.parametrize(
    ("value", "words"), [(0.03125, "p = 0.031"), (1.0, "p = 1"), (2e-5, "p < 0.0001")]
)
def test_p_values_are_readable(value: float, words: str) -> None:
    assert report._p(value).replace("\N{NO-BREAK SPACE}", " ") == words
