"""Names of categories are text in every page and picture, whatever stands in them.

`params` lets only Quick, Draw!'s own names through; the pages do not rely on that.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit
from xml.etree import ElementTree

from hypothesis import example, given, settings
from hypothesis import strategies as st

from quickspine.categories import quickdraw
from quickspine.evaluation import figures, report
from quickspine.params import Evaluate
from quickspine.sources import mirror
from tests.unit.evaluation.made import evidence, summary
from tests.unit.evaluation.reading import Outline

HOSTILE = (
    "<script>alert(1)</script>",
    "</text></svg><img src=x onerror=alert(1)>",
    '" onload="alert(1)',
    "' style='x",
    "<!-- a -->",
    "]]><b>",
    "&lt;b&gt; &amp;",
    'b id="figure_1"',
    'url(#x) href="#y"',
    "<metadata>gone?</metadata>",
    "#1b1b1d",
    "fill: #fefefe",
    r"$\frac{1}{2}$",
    "javascript:alert(1)",
    "مرحبا 日本",
)


def outline(text: str) -> Outline:
    found = Outline(text)
    assert found.open == [""]
    return found


def shape(found: Outline) -> tuple[list[str], list[tuple[str, str]]]:
    """Tags and the names of their attributes: what must not depend on any name."""
    return found.tags, [(tag, name) for tag, name, _ in found.attributes]


def written(make: Any, names: list[str], evaluate: Evaluate) -> Outline:
    case = make(categories=names, seeds=(1,), stages=("train",))
    case.data["attribution"] = case.data["licence"] = names[0]
    shown = {"figures": {"accuracy": "<svg></svg>"}, "environment": {names[0]: names[-1]}}
    return outline(report.text(evidence(case, summary(case, evaluate), **shown)))


letters = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])
names = st.lists(
    st.sampled_from(HOSTILE) | st.text(letters, min_size=1, max_size=30),
    min_size=3,
    max_size=3,
    unique=True,
)


@settings(max_examples=60)
@given(names=names)
@example(names=list(HOSTILE[:3]))
def test_no_name_becomes_markup_in_the_report(
    make: Any, evaluate: Evaluate, names: list[str]
) -> None:
    plain = written(make, ["apple", "cat", "key"], evaluate)
    found = written(make, names, evaluate)
    assert shape(found) == shape(plain)
    assert ", ".join(names) in found.text  # as they are, for a reader's eyes


def pictures(place: Path, make: Any, names: list[str], evaluate: Evaluate) -> list[Outline]:
    """The figures as they stand in the page."""
    case = make(categories=names, seeds=(1,), stages=("train",))
    metrics = summary(case, evaluate)
    drawn = figures.write(place, case.runs, case.labels, names, metrics)
    return [outline(text) for text in drawn.values()]


def label(picture: Outline) -> str:
    """What a figure is called."""
    return next(value or "" for _, name, value in picture.attributes if name == "aria-label")


def test_no_name_becomes_markup_in_a_figure(make: Any, evaluate: Evaluate, tmp_path: Path) -> None:
    plain = [f"name {number}" for number in range(len(HOSTILE))]
    expected = pictures(tmp_path / "plain", make, plain, evaluate)
    found = pictures(tmp_path / "hostile", make, list(HOSTILE), evaluate)
    for one, other in zip(found, expected, strict=True):
        assert set(shape(one)[1]) == set(shape(other)[1])
        if "Test accuracy by category" not in label(
            one
        ):  # its axis has fewer ticks beside long names
            assert Counter(one.tags) == Counter(other.tags)
    cut = [name if len(name) <= 24 else f"{name[:23]}…" for name in HOSTILE]
    for name in cut:
        assert sum(one.text.count(name) >= 2 for one in found) == 2, name  # rows and columns
    for path in (tmp_path / "hostile").glob("*.svg"):  # well-formed where they stand alone
        text = "".join(ElementTree.parse(path).getroot().itertext())  # noqa: S314 - our own
        assert "confusion" not in path.name or all(name in text for name in cut)


def test_every_name_that_params_take_is_one_piece_of_an_address() -> None:
    web = mirror.parse("https://example.org/drawings")
    assert isinstance(web, mirror.Web)
    for name in quickdraw():
        url = web.url(name)
        path = urlsplit(url).path
        assert unquote(path).endswith(f"/{name}.npy")
        assert path.endswith(f"/{quote(name, safe='')}.npy")
        assert " " not in url
