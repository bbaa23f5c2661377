from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quickspine.evaluation import report
from quickspine.evaluation.examples import pick
from quickspine.evaluation.sections.verdict import QUESTION
from quickspine.params import Evaluate
from tests.unit.evaluation.made import evidence, summary
from tests.unit.evaluation.reading import Outline, Table, as_shown, numbers

FIGURES = {
    f"{name}-{stage}": f"<svg>{name.upper()} OF {stage}</svg>"
    for name in ("curves", "parameters", "head-parameters", "latency", "categories", "calibration")
    for stage in ("train", "finetune")
} | {"accuracy": "<svg>ACCURACY</svg>", "confusion-train-dense": "<svg>CONFUSION</svg>"}


def page(case: Any, evaluate: Evaluate, metrics: Any = None, **options: Any) -> Outline:
    metrics = metrics or summary(case, evaluate)
    outline = Outline(report.text(evidence(case, metrics, FIGURES, **options)))
    assert outline.open == [""]
    return outline


def test_the_answer_first_and_all_that_it_rests_on(make: Any, evaluate: Evaluate) -> None:
    outline = page(make(spinal=0.99, heads=("dense", "spinal", "linear")), evaluate)
    order = [
        QUESTION, "Synthetic drawings.", "Spinal better", "Spinal minus dense", "The models",
        "ACCURACY", "Every head against every other", "How training went", "CURVES OF train",
        "Accuracy against what it costs", "HEAD-PARAMETERS OF train", "Accuracy by category",
        "CATEGORIES OF finetune", "What is taken for what", "CONFUSION",
        "Drawings on which the heads part", "The worst confusions", "Can its confidence",
        "CALIBRATION OF train", "The drawings", "CC BY 4.0", "How this was measured",
        "How to repeat this", "<CPU> & co", "a" * 64, "c" * 64,
    ]  # fmt: skip
    text = outline.text
    start, places = text.index(QUESTION), []
    for words in order:
        start = text.index(words, start)
        places.append(start)
    assert places == sorted(places)


def test_every_section_is_linked_and_says_how_to_read_it(make: Any, evaluate: Evaluate) -> None:
    case = make(heads=("dense", "spinal", "linear"))
    text = report.text(evidence(case, summary(case, evaluate), FIGURES))
    pattern = r'<section id="([^"]+)">\n<h2>([^<]+)</h2>\n<p class="how">(.*?)</p>'
    sections = re.findall(pattern, text)
    assert len(sections) == len(report.ORDER) == text.count("<section id=")
    assert all(len(how) > 40 for _, _, how in sections)
    links = re.findall(r'<a href="#([^"]+)">([^<]+)</a>', text)
    assert links == [(name, title) for name, title, _ in sections]


def test_it_needs_no_network_and_no_script(make: Any, evaluate: Evaluate) -> None:
    sheet = b"\x89PNG drawings"
    case = make()
    text = report.text(evidence(case, summary(case, evaluate), FIGURES, contact_sheet=sheet))
    outline = Outline(text)
    assert not {"script", "link", "iframe", "object", "form"} & set(outline.tags)
    sources = [value or "" for _, name, value in outline.attributes if name == "src"]
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert sources[-1].endswith(base64.b64encode(sheet).decode())
    assert all((v or "").startswith("#") for _, name, v in outline.attributes if name == "href")
    assert not re.search(r"url\((?!#)|@import", text)
    assert "default-src 'none'" in text
    assert ("meta", "name", "viewport") in outline.attributes
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


# The numbers

Model = dict[str, Any]


def shares(name: str) -> Callable[[Model], list[float]]:
    def values(model: Model) -> list[float]:
        found = model[name]
        several = len(found["runs"]) > 1
        return [100 * found["mean"], *([100 * found["std"]] if several else [])]

    return values


ROWS: dict[str, Callable[[Model], list[float]]] = {
    "accuracy, %|first answer right": shares("accuracy"),
    "95 % interval, %|of the accuracy": lambda m: [100 * end for end in m["accuracy"]["ci95"]],
    "top-2, %|right among the first 2": shares("top2_accuracy"),
    "validation accuracy, %|what choices looked at": shares("validation_accuracy"),
    "loss|cross-entropy, nats": lambda m: [m["loss"]["mean"]],
    "calibration error, points|ECE; 0 is best": shares("calibration_error"),
    "parameters|trained numbers": lambda m: [m["parameters"]],
    "parameters of the head": lambda m: [m["head_parameters"]],
    "multiplications|for one drawing": lambda m: [m["multiplications"]],
    "multiplications of the head": lambda m: [m["head_multiplications"]],
    "weights, MiB|in memory": lambda m: [m["memory"]["weights_bytes"] / 2**20],
    "activations, MiB|in memory": lambda m: [m["memory"]["activations_bytes"] / 2**20],
    "one drawing, ms|median": lambda m: [m["latency"]["1"]["median_ms"]],
    "one drawing, ms|95th percentile": lambda m: [m["latency"]["1"]["p95_ms"]],
    "256 drawings, ms|median": lambda m: [m["latency"]["256"]["median_ms"]],
    "256 drawings, ms|95th percentile": lambda m: [m["latency"]["256"]["p95_ms"]],
    "training, seconds|a seed": lambda m: [m["training_seconds"]],
}

HEADS = ("linear", "dense", "matched", "spinal", "progressive")


def models_of(table: Table, metrics: Any, stage: str) -> None:
    """Whether a table of models says what the metrics say, and all of it."""
    head, *rows = table.rows
    assert {f"{stage}-{name}" for name in head[1:]} == {
        name for name in metrics["models"] if name.startswith(f"{stage}-")
    }
    assert [row[0] for row in rows] == list(ROWS)
    for name, *cells in rows:
        for column, cell in zip(head[1:], cells, strict=True):
            values = ROWS[name](metrics["models"][f"{stage}-{column}"])
            assert as_shown(cell, values), (stage, name, column, cell, values)


@pytest.mark.parametrize("seeds", [(1, 2, 3), (5,)])
@pytest.mark.parametrize("heads", [("dense", "spinal"), HEADS, ("dense",)])
def test_the_tables_hold_the_numbers_of_the_metrics(
    make: Any, evaluate: Evaluate, seeds: tuple[int, ...], heads: tuple[str, ...]
) -> None:
    case = make(seeds=seeds, heads=heads)
    metrics = summary(case, evaluate)
    outline = page(case, evaluate, metrics)
    tables = outline.of("models")
    assert [table.heading.partition(":")[0] for table in tables] == ["train", "finetune"]
    for table, stage in zip(tables, ("train", "finetune"), strict=True):
        models_of(table, metrics, stage)
    (calibration,) = outline.of("calibration")
    for name, cell in calibration.rows[1:]:
        assert as_shown(cell, shares("calibration_error")(metrics["models"][name]))
    assert len(calibration.rows) == 1 + len(metrics["models"])


def test_a_training_that_was_not_timed_says_so(make: Any, evaluate: Evaluate) -> None:
    case = make()
    metrics = summary(case, evaluate)
    metrics["models"]["train-spinal"]["training_seconds"] = None
    row = page(case, evaluate, metrics).of("models")[0].rows[-1]
    assert row[0].startswith("training")
    assert numbers(row[1])
    assert row[2] == "not measured"


def test_all_pairs_hold_the_numbers_of_the_metrics(make: Any, evaluate: Evaluate) -> None:
    case = make(heads=HEADS)
    metrics = summary(case, evaluate)
    tables = page(case, evaluate, metrics).of("pairs")
    assert len(tables) == 2
    for table, stage in zip(tables, ("train", "finetune"), strict=True):
        assert len(table.rows) == 11
        for row, (pair, found) in zip(table.rows[1:], metrics["pairs"][stage].items(), strict=True):
            name, difference, interval, p, bootstrap, holm, reduction, verdict = row
            assert name.replace(" \N{MINUS SIGN} ", "-") == pair
            assert as_shown(difference, [100 * found["accuracy_difference"]])
            assert as_shown(interval, [100 * end for end in found["ci95"]])
            for cell, key in ((p, "p_value"), (bootstrap, "p_bootstrap"), (holm, "p_holm")):
                value = found[key]
                assert cell == ("< 0.0001" if value < 1e-4 else f"{value:.2g}")
            if found["error_reduction"] is None:
                assert reduction == "none to reduce"
            else:
                assert as_shown(reduction, [found["error_reduction"]])
            assert verdict == found["verdict"]


def test_two_heads_need_no_table_of_pairs(make: Any, evaluate: Evaluate) -> None:
    assert page(make(), evaluate).of("pairs") == []


def card(text: str, stage: str) -> str:
    found = re.search(rf'<section class="card"><h2>{stage}.*?</section>', text, re.DOTALL)
    assert found
    return Outline(found[0]).text.replace("\N{NO-BREAK SPACE}", " ")


def test_a_card_says_what_the_metrics_say(make: Any, evaluate: Evaluate) -> None:
    case = make(spinal=0.99)
    metrics = summary(case, evaluate)
    found = metrics["comparisons"]["train"]
    words = card(report.text(evidence(case, metrics)), "train")
    difference = re.search(r"dense: (\S+) points", words)
    ends = re.search(r"between (\S+) and (\S+) points \(95 % interval\)", words)
    assert difference
    assert ends
    assert as_shown(difference[1], [100 * found["accuracy_difference"]])
    assert as_shown(" ".join(ends.groups()), [100 * end for end in found["ci95"]])
    assert "zero is outside" in words
    for each in found["mcnemar"]:
        assert f"seed {each['seed']}: {each['better']:,} to {each['worse']:,} (p " in words
    assert f"error reduction {found['error_reduction']:.1f} %" in words
    assert "To settle it" not in words


def test_an_open_verdict_says_what_would_settle_it(make: Any, evaluate: Evaluate) -> None:
    case = make(spinal=0.8)
    metrics = summary(case, evaluate)
    found = metrics["comparisons"]["train"]
    assert "no difference" in found["verdict"]
    found["p_holm"], found["needed"]["words"] = 0.5, "about 12 seeds <would> do"
    words = card(report.text(evidence(case, metrics)), "train")
    assert "To settle it: about 12 seeds <would> do." in words
    assert "zero is inside" in words
    assert "p = 0.5, not below 0.05" in words


def test_another_confidence_is_told(make: Any, evaluate: Evaluate) -> None:
    case = make()
    metrics = summary(case, evaluate)
    metrics["comparisons"]["train"] |= {"confidence": 0.99, "ci": [-0.0725, 0.081], "p_holm": 0.02}
    words = card(report.text(evidence(case, metrics)), "train")
    assert "99 % interval, \N{MINUS SIGN}7.25 to +8.10" in words
    assert "not below 0.01" in words


def test_many_seeds_do_not_fill_the_card(make: Any, evaluate: Evaluate) -> None:
    case = make()
    metrics = summary(case, evaluate)
    one = metrics["comparisons"]["train"]["mcnemar"][0]
    metrics["comparisons"]["train"]["mcnemar"] = [{**one, "seed": seed} for seed in range(40)]
    words = card(report.text(evidence(case, metrics)), "train")
    assert "seed 5:" in words
    assert "seed 6:" not in words
    assert "and 34 more seeds" in words


# The drawings


def test_the_drawings_of_the_examples_are_shown(make: Any, evaluate: Evaluate) -> None:
    case = make(stages=("train",))
    found = pick(case.runs, case.labels, {"train": ("spinal", "dense")})["train"]
    outline = page(case, evaluate)
    alts = [value for _, name, value in outline.attributes if name == "alt"]
    expected = [each.position for parted in found.apart for each in parted.shown]
    expected += [place for each in found.confused for place in each.positions]
    assert expected
    names = case.categories
    assert alts == [f"{names[case.labels[place]]}, test drawing {place}" for place in expected]
    text = outline.text.replace("\N{NO-BREAK SPACE}", " ")
    for parted in found.apart:
        assert f"{parted.winner} right, {parted.loser} wrong" in text
        for each in parted.shown:
            told = f"{names[each.label]}{parted.winner}: {names[each.label]} ({each.right} of 3)"
            assert f"{told}{parted.loser}: {names[each.answer]} ({each.wrong} of 3)" in text
    for confused in found.confused:
        assert f"{names[confused.label]} taken for {names[confused.answer]}" in text
        for head, share in confused.shares.items():
            assert f"{head} {100 * share:.2f} %" in text


def test_heads_that_never_err_have_no_such_sections(make: Any, evaluate: Evaluate) -> None:
    case = make(seeds=(1, 2))
    for run in case.runs:
        run.logits[:] = np.eye(4, dtype=np.float32)[case.labels] * 9
    outline = page(case, evaluate)
    assert "apart" in outline.sections
    assert "all 2 spinal seeds get right and all 2 dense seeds get wrong: 0." in outline.text
    assert "confusions" not in outline.sections
    assert "img" not in outline.tags


# Odd cases


def test_names_of_strangers_are_escaped(make: Any, evaluate: Evaluate) -> None:
    case = make(categories=["<script>alert(1)</script>", "a&b", '"quoted"'], seeds=(1,))
    outline = page(case, evaluate)
    assert "script" not in outline.tags
    assert '<script>alert(1)</script>, a&b, "quoted"' in outline.text
    assert "nobody & <nothing>" in outline.text


def test_same_inputs_same_bytes(make: Any, evaluate: Evaluate, tmp_path: Path) -> None:
    for name in ("a.html", "b.html"):
        case = make()
        report.write(tmp_path / name, evidence(case, summary(case, evaluate), FIGURES))
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_only_synthetic_drawings_are_called_so(make: Any, evaluate: Evaluate) -> None:
    text = page(make(synthetic=False), evaluate).text
    assert "ynthetic" not in text
    assert "quickdraw" in text


def test_one_seed(make: Any, evaluate: Evaluate) -> None:
    text = page(make(seeds=(1,)), evaluate).text
    assert "this says nothing about other seeds" in text
    assert "of test accuracy" in text
    assert ", one seed." in text
    assert " ± 0.00" not in text
    assert "one seeds" not in text


def test_one_head_alone(make: Any, evaluate: Evaluate) -> None:
    outline = page(make(heads=("dense",)), evaluate)
    assert "nothing is compared" in outline.text
    assert "are the hardest come first" in outline.text
    assert "apart" not in outline.sections
    assert "confusions" in outline.sections


def test_without_a_history_or_a_figure(make: Any, evaluate: Evaluate) -> None:
    case = make()
    outline = Outline(report.text(evidence(case, summary(case, evaluate))))
    assert not {"training", "costs", "categories", "confusion"} & set(outline.sections)
    assert {"models", "apart", "data"} <= set(outline.sections)


def test_many_categories(make: Any, evaluate: Evaluate) -> None:
    names = [f"category {number}" for number in range(345)]
    case = make(categories=names, seeds=(1, 2), stages=("train",))
    outline = page(case, evaluate)
    assert "Only 30 of the 345 are shown" in outline.text
    assert "some differ by luck alone" in outline.text
    assert outline.tags.count("img") <= 2 * 8 + 6 * 6
