from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from markdown_it import MarkdownIt

from quickspine.evaluation.report import model_card
from quickspine.evaluation.report.numbers import SPACE
from quickspine.params import Evaluate, Params
from tests.unit.evaluation.made import DIGESTS, summary
from tests.unit.evaluation.test_page import HOSTILE, NAMES, as_shown

READER = MarkdownIt("gfm-like", {"linkify": False, "html": True})


def card(case: Any, evaluate: Evaluate, params: Params) -> str:
    return model_card.render(summary(case, evaluate), params, DIGESTS)


def test_its_parts(make: Any, evaluate: Evaluate, params: Params) -> None:
    text = card(make(), evaluate, params)
    assert re.findall(r"^#+ .*", text, re.MULTILINE) == [
        "# Model card: SpinalNet and dense heads on drawings",
        "## What it is", "## Data", "## Training", "## Results", "## Limits",
        "## What it must not be used for", "## How to load one", "## Digests",
    ]  # fmt: skip
    for words in (
        "doodles (**synthetic**: a program drew them, not people)",
        "Training drawings: 800.",
        "CC BY 4.0",
        "nobody \\& \\<nothing\\>",
        "cat, ice cream, zigzag, key",
        "vgg5",
        "efficientnet\\_lite0",
        "seeds 1, 2, 3",
        "Telling people apart",
        "a child's development",
        "Photographs",
        "always answers one of them",
        "28 by 28 pixels",
        'load_model("models/train-dense-1/model.keras")',
        "a" * 64,
    ):
        assert words in text, words


def test_results_are_those_of_the_metrics(make: Any, evaluate: Evaluate, params: Params) -> None:
    case = make(heads=("linear", "dense", "spinal"))
    metrics = summary(case, evaluate)
    text = model_card.render(metrics, params, DIGESTS)
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    by_name = {row[0]: row[1:] for row in rows}
    for name, model in metrics["models"].items():
        cells = by_name[name]
        shares = (model["accuracy"], model["top2_accuracy"], model["calibration_error"])
        expected = [[100 * found["mean"], 100 * found["std"]] for found in shares]
        expected.insert(1, [100 * end for end in model["accuracy"]["ci95"]])
        expected += [[model["parameters"]], [model["head_parameters"]]]
        for cell, values in zip(cells, expected, strict=True):
            assert as_shown(cell, values), (name, cell, values)
    lines = [line for line in text.splitlines() if " minus " in line]
    assert len(lines) == 6
    for line, (stage, pair) in zip(
        lines,
        ((stage, pair) for stage, pairs in metrics["pairs"].items() for pair in pairs),
        strict=True,
    ):
        found = metrics["pairs"][stage][pair]
        assert line.startswith(f"- {stage}, {pair.replace('-', ' minus ')}: ")
        assert found["verdict"] in line
        assert (found["needed"]["words"] in line) == ("better" not in found["verdict"])


def test_what_was_not_done_is_not_told(make: Any, evaluate: Evaluate, params: Params) -> None:
    text = card(make(stages=("train",), synthetic=False), evaluate, params)
    assert "efficientnet" not in text
    assert "ynthetic" not in text
    assert "drawn by people" in text


def test_a_backbone_of_random_weights_is_called_that(
    make: Any, evaluate: Evaluate, params: Params
) -> None:
    words = "this says nothing about pretrained networks"
    random = params.finetune.model_copy(update={"weights": "none"})
    assert words in card(make(), evaluate, params.model_copy(update={"finetune": random}))
    assert words not in card(make(), evaluate, params)


def test_photographs_are_no_drawings(make: Any, evaluate: Evaluate, params: Params) -> None:
    case = make(synthetic=False)
    case.data |= {"source": "folder", "shape": [96, 64, 3]}
    text = card(case, evaluate, params)
    assert "Model card: SpinalNet and dense heads on images" in text
    assert "colour (red, green, blue) images of 96 by 64 pixels" in text
    assert "np.zeros((1, 96, 64, 3), np.uint8)" in text
    for words in ("drawn by people", "white lines", "ability to draw", "a small drawing"):
        assert words not in text


def test_one_seed_and_one_head(make: Any, evaluate: Evaluate, params: Params) -> None:
    text = card(make(seeds=(7,), heads=("dense",)), evaluate, params)
    assert "nothing about other trainings" in text.replace("\n", " ")
    assert "nothing was compared" in text
    assert "models/train-dense-7/model.keras" in text
    assert " ± " not in text.partition("## Results")[2].partition("| train")[2]


@pytest.mark.parametrize(
    ("features", "words"),
    [
        ("average", "Heads see the average"),
        ("maximum", "see the maximum"),
        ("paper", "not see the same"),
    ],
)
def test_what_heads_see_is_told(
    make: Any, evaluate: Evaluate, make_params: Any, features: str, words: str
) -> None:
    cells = "sees one cell of the map"
    plain = card(make(), evaluate, make_params({}))
    params = make_params({"train.features": features, "train.spinal_input": "cells"})
    text = card(make(), evaluate, params)
    for part in (words, cells):
        assert part in text
        assert part not in plain


def test_a_file_of_weights_is_not_named(make: Any, evaluate: Evaluate, make_params: Any) -> None:
    params = make_params({"finetune.weights": "/home/me/secret/weights.pth"})
    text = card(make(), evaluate, params)
    assert "secret" not in text
    assert "weights from a file" in text


def test_same_inputs_same_bytes(
    make: Any, evaluate: Evaluate, params: Params, tmp_path: Path
) -> None:
    for name in ("a.md", "b.md"):
        model_card.write(tmp_path / name, summary(make(), evaluate), params, DIGESTS)
    assert (tmp_path / "a.md").read_bytes() == (tmp_path / "b.md").read_bytes()


def markup(text: str) -> tuple[list[str], str]:
    """The kinds of markup in a page, and its text."""
    kinds, words = [], ""
    for token in READER.parse(text):
        kinds.append(token.type)
        for child in token.children or []:
            kinds.append(child.type)
            words += child.content
    return [kind for kind in kinds if not kind.startswith("text")], words


@given(NAMES)
@example("*a* [a](b) ![a](b) a|b `a` ~~a~~")
@example("<b>a\\")
@example("https://a.b www.c.d a@b.c")
@example("0\u2028")
def test_no_name_becomes_markup(name: str) -> None:
    plain = " ".join(name.split())
    kinds, words = markup(f"Category: {model_card.escape(name)}; next\n")
    assert kinds == ["paragraph_open", "inline", "paragraph_close"]
    assert " ".join(words.split()) == " ".join(f"Category: {plain}; next".split())
    kinds, words = markup(f"| a | b |\n|---|--:|\n| {model_card.escape(name)} | y |\n")
    assert kinds == markup("| a | b |\n|---|--:|\n| x | y |\n")[0]


def test_addresses_are_no_links_and_a_name_of_two_lines_is_one() -> None:
    assert model_card.escape("https://a.b www.c.d") == r"https\://a.b www\.c.d"
    assert model_card.escape("a\n\n# b\t c") == r"a \# b c"


def test_names_of_strangers_are_text(make: Any, evaluate: Evaluate, params: Params) -> None:
    def kinds(*names: str) -> list[str]:
        case = make(categories=names, seeds=(1,), stages=("train",))
        case.data["attribution"] = case.data["licence"] = names[0]
        found, words = markup(card(case, evaluate, params))
        assert all(" ".join(name.split()) in words for name in names)
        return found

    assert kinds(*HOSTILE) == kinds(*(f"name {number}" for number in range(len(HOSTILE))))


def test_the_recipe_is_described(make: Any, evaluate: Evaluate, make_params: Any) -> None:
    course = {"optimizer": "sgd", "momentum": 0.5, "schedule": "step", "step_factor": 0.2}
    paper = {
        "perspective": 0.5,
        "perspective_probability": 0.5,
        "resized_crop": 0.95,
        "crop": 4,
        "flip": True,
    }
    values = {
        **{f"finetune.{name}": value for name, value in course.items()},
        **{f"train.augment.{name}": value for name, value in paper.items()},
        "train.schedule": "random_restart",
        "finetune.unfrozen_blocks": "all",
    }
    text = card(make(), evaluate, make_params(values)).replace(SPACE, " ")
    for words in (
        "Adam at 0.003 (random restart: drawn anew after each epoch without a lower loss",
        "50 % of half its side (for 50 % of the images)",
        "cropped to at least 95 % of its area and resized",
        "shifted by up to 4 whole pixels each way",
        "mirrored (for 50 % of the images)",
        "SGD with momentum 0.5 at 0.003 (step: times 0.2 every 7 epochs)",
        "of the head and all blocks (without their normalisation) at 0.0002",
    ):
        assert words in text, words
