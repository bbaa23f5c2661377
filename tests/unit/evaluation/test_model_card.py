from __future__ import annotations

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


def test_what_it_says_of_models_and_data(make: Any, evaluate: Evaluate, params: Params) -> None:
    text = card(make(), evaluate, params)
    for words in (
        "doodles (**synthetic**: a program drew them, not people)",
        "Training drawings: 800.",
        "nobody \\& \\<nothing\\>",
        "cat, ice cream, zigzag, key",
        "efficientnet\\_lite0",
        "seeds 1, 2, 3",
        "## What it must not be used for",
        "28 by 28 pixels",
        'load_model("models/train-dense-1/model.keras")',
        "a" * 64,
    ):
        assert words in text, words
    trained = card(make(stages=("train",), synthetic=False), evaluate, params)
    assert "efficientnet" not in trained
    assert "ynthetic" not in trained


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"train.features": "average"}, "Heads see the average"),
        ({"train.features": "maximum"}, "Heads see the maximum"),
        ({"train.features": "paper"}, "heads do not see the same features"),
        ({"train.spinal_input": "cells"}, "sees one cell of the map"),
        ({"train.schedule": "random_restart"}, "Adam at 0.003 (random restart: drawn anew after"),
        (
            {"train.augment.perspective": 0.5, "train.augment.perspective_probability": 0.5},
            "50 % of half its side (for 50 % of the images)",
        ),
        ({"train.augment.resized_crop": 0.95}, "cropped to at least 95 % of its area and resized"),
        ({"train.augment.crop": 4}, "shifted by up to 4 whole pixels each way"),
        ({"train.augment.flip": True}, "mirrored (for 50 % of the images)"),
        (
            {"finetune.optimizer": "sgd", "finetune.momentum": 0.5, "finetune.schedule": "step",
             "finetune.step_factor": 0.2},
            "SGD with momentum 0.5 at 0.003 (step: times 0.2 every 7 epochs)",
        ),
        (
            {"finetune.unfrozen_blocks": "all"},
            "of the head and all blocks (without their normalisation) at 0.0002",
        ),
        ({"finetune.weights": "none"}, "this says nothing about pretrained networks"),
        ({"finetune.weights": "/home/me/secret/weights.pth"}, "weights from a file"),
    ],
)  # fmt: skip
def test_the_recipe_is_that_of_the_params(
    make: Any, evaluate: Evaluate, make_params: Any, values: dict[str, Any], words: str
) -> None:
    text = card(make(seeds=(1,)), evaluate, make_params(values)).replace(SPACE, " ")
    assert words in text
    assert "secret" not in text
    assert words not in card(make(seeds=(1,)), evaluate, make_params({})).replace(SPACE, " ")


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
@example("a\n\n# b\t c")
def test_no_name_becomes_markup(name: str) -> None:
    plain = " ".join(name.split())
    kinds, words = markup(f"Category: {model_card.escape(name)}; next\n")
    assert kinds == ["paragraph_open", "inline", "paragraph_close"]
    assert " ".join(words.split()) == " ".join(f"Category: {plain}; next".split())
    kinds, words = markup(f"| a | b |\n|---|--:|\n| {model_card.escape(name)} | y |\n")
    assert kinds == markup("| a | b |\n|---|--:|\n| x | y |\n")[0]


def test_names_of_strangers_are_text(make: Any, evaluate: Evaluate, params: Params) -> None:
    def kinds(*names: str) -> list[str]:
        case = make(categories=names, seeds=(1,), stages=("train",))
        case.data["attribution"] = case.data["licence"] = names[0]
        found, words = markup(card(case, evaluate, params))
        assert all(" ".join(name.split()) in words for name in names)
        return found

    assert kinds(*HOSTILE) == kinds(*(f"name {number}" for number in range(len(HOSTILE))))
