"""Photographs are not called drawings."""

from __future__ import annotations

import pytest

from quickspine.evaluation.wording import fitting


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A drawing, a drawing; Drawings of two.", "An image, an image; Images of two."),
        ('<ul class="drawings bare">a drawings', '<ul class="drawings bare">an images'),
        ("withdrawing, redrawings, drawings_per", "withdrawing, redrawings, drawings_per"),
        ("", ""),
    ],
)  # fmt: skip
def test_words_of_images(text: str, expected: str) -> None:
    assert fitting(text, {"source": "folder birds", "categories": ["a", "b"]}) == expected
    for source in ("doodles", "quickdraw", "strokes"):
        assert fitting(text, {"source": source, "categories": ["a", "b"]}) == text


def test_categories_keep_their_names() -> None:
    data = {"source": "folder art", "categories": ["painting", "Line Drawing"]}
    assert fitting("a drawing of Line Drawing", data) == "a drawing of Line Drawing"
