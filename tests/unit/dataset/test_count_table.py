"""preprocess says how many images of each class each split has, and which lack some."""

from __future__ import annotations

from quickspine.dataset.prepare.count_table import SHOWN, count_table


def test_a_line_a_class_and_a_warning_for_a_split_without_one() -> None:
    splits = {
        "train": {"categories": {"a": 1200, "ice cream": 3}},
        "test": {"categories": {"a": 10, "ice cream": 0}},
    }
    assert list(count_table(splits)) == [
        "class      train  test",
        "a          1,200    10",
        "ice cream      3     0",
        "warning: test has no image of 'ice cream'",
    ]


def test_of_many_classes_those_with_the_fewest_images() -> None:
    splits = {"train": {"categories": {f"class {n}": 1000 - n for n in range(345)}}}
    lines = list(count_table(splits))
    assert len(lines) == SHOWN + 2
    assert lines[0].startswith("the 30 of 345 classes")
    assert lines[2].split() == ["class", "344", "656"]
