from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from quickspine.evaluation.report.examples import confusions, disagree, pick, positions
from quickspine.evaluation.report.images import are_light, collect, data_uri, png
from tests.unit.evaluation.answers import run_of

LABELS = np.array([0, 0, 1, 1, 2, 2])
# Rows are seeds, columns images.
ONE = np.array([[0, 0, 1, 1, 2, 0], [0, 0, 1, 1, 0, 0], [0, 1, 1, 0, 2, 0]])
OTHER = np.array([[1, 2, 2, 1, 2, 0], [1, 2, 2, 0, 1, 0], [2, 0, 2, 1, 0, 0]])


def test_images_that_tell_two_heads_apart_by_hand() -> None:
    found = disagree("spinal", "dense", ONE, OTHER, LABELS)
    assert found.seeds == (3, 3)
    # Image 0: 3 right, 3 wrong; 2: the same; 1: 2 and 2; 4: 2 and 2; 3: dense is mostly right.
    assert [each.position for each in found.shown] == [0, 2, 1, 4]
    assert found.unanimous == 2
    first = found.shown[0]
    assert (first.label, first.right, first.answer, first.wrong) == (0, 3, 1, 2)
    # Two seeds of dense are wrong, with an answer each: the lower label is shown.
    last = found.shown[3]
    assert (last.label, last.right, last.answer, last.wrong) == (2, 2, 0, 1)
    assert disagree("dense", "spinal", OTHER, ONE, LABELS).shown == ()


def test_many_categories_are_seen() -> None:
    labels = np.array([0, 0, 0, 0, 1, 2])
    right, wrong = labels[None], (labels[None] + 1) % 3
    found = disagree("a", "b", right, wrong, labels, most=4)
    assert [each.position for each in found.shown] == [0, 4, 5, 1]
    assert found.unanimous == 6


def test_the_worst_confusions_by_hand() -> None:
    matrices = {
        "spinal": np.array([[5, 1, 0], [2, 4, 0], [3, 0, 3]]),
        "dense": np.array([[6, 0, 0], [1, 5, 0], [0, 1, 5]]),
    }
    answers = [ONE, OTHER]
    found = confusions(matrices, answers, LABELS, most=3, examples=2)
    # Together 3 times 2 for 0, 3 times 1 for 0, once 0 for 1 (and once 2 for 1: a higher label).
    assert [(each.label, each.answer) for each in found] == [(1, 0), (2, 0), (0, 1)]
    assert found[1].shares == {"spinal": 0.5, "dense": 0}
    assert found[1].positions == (5, 4)  # 6 of 6 answers, then 2
    assert found[0].positions == (3,)  # nobody takes image 2 for 0


def test_no_errors_nothing_to_show() -> None:
    right = np.stack([LABELS, LABELS])
    assert disagree("a", "b", right, right, LABELS).shown == ()
    assert confusions({"a": np.diag([2, 2, 2])}, [right], LABELS) == ()


def test_of_a_stage_with_both_heads_both_ways(make: Any) -> None:
    case = make(heads=("linear", "dense", "spinal"))
    pairs = {"train": ("spinal", "dense"), "finetune": None}
    found = pick(case.runs, case.labels, pairs)
    assert list(found) == ["train", "finetune"]
    assert [(each.winner, each.loser) for each in found["train"].disagreements] == [
        ("spinal", "dense"), ("dense", "spinal"),
    ]  # fmt: skip
    assert found["finetune"].disagreements == ()
    assert all(
        list(each.shares) == ["linear", "dense", "spinal"] for each in found["train"].confusions
    )
    shown = positions(found)
    assert max(shown) < len(case.labels)
    answered = {run.name: run.logits.argmax(axis=1) for run in case.runs if run.stage == "finetune"}
    for each in found["finetune"].confusions:
        for position in each.positions:
            assert case.labels[position] == each.label
            assert each.answer in {int(given[position]) for given in answered.values()}
    assert pick(case.runs, case.labels, pairs) == found


def test_a_category_without_images_has_no_share(make: Any) -> None:
    logits = np.array([[0, 9, 0], [0, 9, 0]], np.float32)
    runs = [run_of("train", "dense", 1, logits)]
    found = pick(runs, np.array([0, 1]), {"train": None})["train"].confusions
    assert [(each.label, each.answer, each.shares) for each in found] == [(0, 1, {"dense": 1.0})]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.data())
def test_images_are_found_in_whatever_batch(sizes: list[int], data: Any) -> None:
    """In one pass that ends at the last of them; no batch is kept alive."""
    images = np.arange(sum(sizes), dtype=np.uint8).reshape(-1, 1, 1, 1)
    wanted = data.draw(st.sets(st.integers(0, len(images) - 1)))
    rest = iter(np.split(images, np.cumsum(sizes)[:-1]))
    found = collect(rest, wanted)
    assert set(found) == wanted
    assert all(bitmap == position for position, bitmap in found.items())
    assert all(bitmap.base is None for bitmap in found.values())
    assert sum(map(len, rest)) == sum(sizes) - (
        next(end for end in np.cumsum(sizes) if end > max(wanted)) if wanted else 0
    )
    with pytest.raises(ValueError, match=rf"position {len(images)} must be below {len(images)}"):
        collect([images], [len(images)])


def opened(content: bytes) -> Any:
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture)


def test_light_strokes_become_ink_and_photographs_stay() -> None:
    colours = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    grey = colours[..., :1]
    assert np.array_equal(opened(png(colours)), colours)
    assert np.array_equal(opened(png(grey, light=False)), grey[..., 0])
    assert np.array_equal(opened(png(grey)), 255 - grey[..., 0])
    assert png(grey) == png(grey.copy())
    assert are_light([grey, grey + 60])
    assert not are_light([255 - grey])
    assert not are_light([])
    head, _, code = data_uri(png(grey)).partition(",")
    assert (head, base64.b64decode(code)) == ("data:image/png;base64", png(grey))
