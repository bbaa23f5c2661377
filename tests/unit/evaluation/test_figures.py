from __future__ import annotations

import csv
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.collections import PathCollection
from PIL import Image

from quickspine.evaluation import charts, figures, heatmap, pairing
from quickspine.evaluation.calibration import reliability
from quickspine.evaluation.calibration_chart import calibration
from quickspine.evaluation.category_chart import SHOWN, by_category, most_apart
from quickspine.evaluation.cost_charts import cost, short
from quickspine.evaluation.metrics import ModelRun
from quickspine.evaluation.per_category import PerCategory, wilson_of_mean
from quickspine.params import Evaluate
from tests.unit.evaluation.answers import run_of
from tests.unit.evaluation.made import summary


def write(place: Path, case: Any, evaluate: Evaluate) -> dict[str, str]:
    metrics = summary(case, evaluate)
    return figures.write(place, case.runs, case.labels, case.categories, metrics)


def rows(place: Path) -> list[dict[str, str]]:
    with place.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def plots(
    make: Any, evaluate: Evaluate, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, str], Any]:
    place, case = tmp_path_factory.mktemp("evaluation") / "plots", make()
    return place, write(place, case, evaluate), case


def test_files(plots: Any) -> None:
    place, inline, _ = plots
    models = ["train-dense", "train-spinal", "finetune-dense", "finetune-spinal"]
    kinds = ("curves", "head-parameters", "parameters", "latency", "categories", "calibration")
    confusions = [f"confusion-{model}" for model in models]
    by_stage = [f"{kind}-{stage}" for stage in ("train", "finetune") for kind in kinds]
    assert list(inline) == ["accuracy", *by_stage, *confusions]
    assert {path.name for path in place.iterdir()} == {
        "history.csv", "per-category.csv", "calibration.csv", "confusion.csv", "result.png",
        *(f"{name}.svg" for name in inline),
    }  # fmt: skip
    with Image.open(place / "result.png") as picture:
        assert picture.width > 1000
        assert not picture.info.get("Software")


def test_same_inputs_same_bytes(plots: Any, evaluate: Evaluate, tmp_path: Path) -> None:
    place, inline, case = plots
    with mpl.rc_context({"font.size": 30}):  # a reader's own matplotlibrc changes nothing
        assert write(tmp_path / "plots", case, evaluate) == inline
        assert mpl.rcParams["font.size"] == 30
    for path in place.iterdir():
        assert path.read_bytes() == (tmp_path / "plots" / path.name).read_bytes(), path.name


def test_pyplot_and_tensorflow_stay_out(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from unittest import mock
from quickspine.evaluation import charts, figures, report
with mock.patch.object(charts, "accuracy", lambda metrics: charts.Figure()), \
        mock.patch.object(charts, "result", lambda metrics: charts.Figure()):
    figures.write(Path("plots"), [], [], [], {"models": {}})
print({"matplotlib.pyplot", "tensorflow", "mlflow"} & set(sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


def test_history(plots: Any) -> None:
    found = rows(plots[0] / "history.csv")
    assert len(found) == 12 * 4
    assert found[0] == {
        "stage": "train", "head": "dense", "seed": "1", "epoch": "1", "loss": "1",
        "accuracy": "0.5", "val_loss": "1.1", "val_accuracy": "0.4", "learning_rate": "0.003",
    }  # fmt: skip


def test_per_category(plots: Any) -> None:
    place, _, case = plots
    found = rows(place / "per-category.csv")
    assert len(found) == 4 * 4
    assert {row["drawings"] for row in found} == {"25"}
    runs = [run for run in case.runs if run.model == "train-dense"]
    right = np.mean([(run.logits.argmax(1) == case.labels)[25:50].mean() for run in runs])
    row = next(row for row in found if row["category"] == "ice cream")
    assert float(row["accuracy"]) == pytest.approx(right, rel=1e-5)
    low, high = wilson_of_mean(np.array([right]), np.array([25]))
    assert (float(row["low"]), float(row["high"])) == pytest.approx((low[0], high[0]), rel=1e-5)


def test_pictures_are_well_formed_and_carry_no_date(plots: Any) -> None:
    place, inline, _ = plots
    for name, markup in inline.items():
        document = (place / f"{name}.svg").read_text(encoding="utf-8")
        assert ET.fromstring(document).get("viewBox")  # noqa: S314 - our own bytes
        assert "<dc:date>" not in document
        root = ET.fromstring(markup)  # noqa: S314 - our own bytes
        assert root.get("role") == "img"
        assert root.get("aria-label") == figures.title(name)
        assert charts.INK not in markup
        ids = [node.get("id") for node in root.iter() if node.get("id")]
        assert all(one.startswith(f"{name}-") for one in ids if one)
        assert len(ids) == len(set(ids))
    assert "ice cream" in inline["confusion-train-dense"]


def test_strange_names_stay_text(make: Any, evaluate: Evaluate, tmp_path: Path) -> None:
    names = ["<script>alert()</script>", "a$b_1$", "猫", "x\" & 'y", "=1+1,", "long " * 40]
    case = make(seeds=(1,), stages=("train",), categories=names)
    markup = write(tmp_path / "plots", case, evaluate)["confusion-train-dense"]
    assert "<script" not in markup
    words = " ".join("".join(node.itertext()) for node in ET.fromstring(markup).iter())  # noqa: S314
    for name in names[:5]:
        assert name in words
    found = rows(tmp_path / "plots" / "confusion.csv")
    assert {row["actual"] for row in found} == set(names)


@pytest.mark.parametrize("count", [2, 35, 60])
def test_any_number_of_categories(
    count: int, make: Any, evaluate: Evaluate, tmp_path: Path
) -> None:
    names = [f"category {number}" for number in range(count)]
    case = make(seeds=(1,), stages=("train",), heads=("dense",), categories=names)
    markup = write(tmp_path / "plots", case, evaluate)["confusion-train-dense"]
    assert ("category 1" in markup) == (count <= heatmap.NAMED)


def test_odd_histories(make: Any, evaluate: Evaluate, tmp_path: Path) -> None:
    case = make(seeds=(1, 2), stages=("train",), heads=("dense",))
    first, second = case.runs

    def with_history(run: ModelRun, history: list[dict[str, Any]]) -> ModelRun:
        return run_of(run.stage, run.head, run.seed, run.logits, history)

    short = with_history(second, [{"epoch": 1, "loss": 0.5, "val_accuracy": None}])
    case.runs = [first, short]
    write(tmp_path / "plots", case, evaluate)
    last = rows(tmp_path / "plots" / "history.csv")[-1]
    assert (last["seed"], last["loss"], last["val_accuracy"], last["accuracy"]) == (
        "2", "0.5", "", "",
    )  # fmt: skip
    case.runs = [with_history(first, []), with_history(second, [])]
    assert "curves-train" not in write(tmp_path / "plots", case, evaluate)
    assert not (tmp_path / "plots" / "curves-train.svg").exists()


def test_a_band_of_seeds_around_their_mean(make: Any) -> None:
    case = make(seeds=(1, 2, 3), stages=("train",), heads=("dense", "spinal"))
    runs = [
        run_of(run.stage, run.head, run.seed, run.logits,
               [{"epoch": epoch, "val_accuracy": 0.1 * epoch + 0.01 * run.seed}
                  for epoch in (1, 2, 3)])
        for run in case.runs
    ]  # fmt: skip
    axes = charts.curves(runs).axes[0]
    for line, band in zip(axes.get_lines(), axes.collections, strict=True):
        assert np.asarray(line.get_ydata()) == pytest.approx([12, 22, 32])
        corners = np.asarray(band.get_paths()[0].vertices)
        assert corners[:, 1].min() == pytest.approx(11)
        assert corners[:, 1].max() == pytest.approx(33)
    alone = charts.curves(runs[:1]).axes[0]
    assert len(alone.collections) == 0  # one seed has no band


def test_means_are_of_epochs_that_all_seeds_reached(make: Any) -> None:
    case = make(seeds=(1, 2), stages=("train",), heads=("dense",))
    first, second = case.runs
    cut = run_of("train", "dense", 2, second.logits, second.history[:2])
    axes = charts.curves([first, cut]).axes[0]
    epochs = [np.asarray(line.get_xdata()).tolist() for line in axes.get_lines()]
    assert epochs == [[1, 2], [2, 3, 4]]  # the mean of both; then the seed that went on


def test_the_heads_of_a_stage_against_their_costs(make: Any, evaluate: Evaluate) -> None:
    case = make(heads=("linear", "dense", "matched", "spinal", "progressive"))
    models = pairing.heads(summary(case, evaluate), "train")
    for name, key in {
        "parameters": "parameters",
        "head-parameters": "head_parameters",
        "latency": "latency_ms",
    }.items():
        figure = cost(models, name)
        lines = figure.axes[0].get_lines()
        assert len(lines) == 2 * len(models)
        for number, (head, model) in enumerate(models.items()):
            interval, mark = lines[2 * number : 2 * number + 2]
            assert mark.get_label() == head
            assert np.asarray(mark.get_xdata()).tolist() == [model[key]]
            assert np.asarray(mark.get_ydata()) == pytest.approx([100 * model["accuracy"]["mean"]])
            ends = [100 * end for end in model["accuracy"]["ci95"]]
            assert np.asarray(interval.get_ydata()) == pytest.approx(ends)
        figure.draw_without_rendering()
        for mark in lines[1::2]:  # where a reader sees it
            box = mark.get_window_extent()
            assert figure.axes[0].get_window_extent().contains(box.x0, box.y0)
        places = {tuple(mark.get_window_extent().p0.round(2)) for mark in lines[1::2]}
        assert len(places) == len(models)  # none hides another of equal cost


@pytest.mark.parametrize(
    ("value", "words"), [(512, "512"), (7850, "7.85k"), (1.25e6, "1.25M"), (0.5, "0.5"), (0, "0")]
)
def test_numbers_for_a_narrow_axis(value: float, words: str) -> None:
    assert short(value) == words


def measured(*shares: float) -> PerCategory:
    share = np.array(shares)
    return PerCategory(np.full(len(share), 9), share, share - 0.1, share + 0.1)


def test_categories_that_differ_most_come_first() -> None:
    one, other = measured(0.9, 0.5, np.nan, 0.7, 0.2), measured(0.9, 0.6, np.nan, 0.45, 0.4)
    assert most_apart({"spinal": one, "dense": other}) == [3, 4, 1, 0]
    assert most_apart({"spinal": one, "dense": other}, 2) == [3, 4]
    assert most_apart({"dense": one}) == [4, 1, 3, 0]  # alone: the hardest


def test_a_row_a_category_of_those_that_fit() -> None:
    shares = np.linspace(0, 1, 345)
    found = {"spinal": measured(*shares), "dense": measured(*shares[::-1])}
    figure = by_category(found, [f"category {number}" for number in range(345)])
    axes = figure.axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names[:2] == ["category 0", "category 344"]
    assert len(names) == SHOWN
    for line, each in zip(axes.get_lines(), found.values(), strict=True):
        assert np.asarray(line.get_xdata())[0] == pytest.approx(100 * each.accuracy[0])


def test_the_reliability_curve_shows_the_bins_that_hold_answers(make: Any) -> None:
    case = make(seeds=(1,), stages=("train",))
    found = {run.head: reliability(run.logits, case.labels) for run in case.runs}
    axes = calibration(found).axes[0]
    for points, bins in zip(axes.collections, found.values(), strict=True):
        assert isinstance(points, PathCollection)
        filled = bins.drawings > 0
        expected = 100 * np.stack([bins.confidence, bins.accuracy], axis=1)[filled]
        np.testing.assert_allclose(np.asarray(points.get_offsets()), expected)
        assert len(expected) > 1
        largest = int(np.argmax(points.get_sizes()))
        assert bins.drawings[filled][largest] == bins.drawings.max()


def test_reliability_as_a_table(plots: Any) -> None:
    place, _, case = plots
    found = rows(place / "calibration.csv")
    assert list(found[0]) == ["stage", "head", "low", "high", "answers", "confidence", "accuracy"]
    own = [row for row in found if (row["stage"], row["head"]) == ("finetune", "spinal")]
    assert sum(int(row["answers"]) for row in own) == 3 * len(case.labels)
    for row in own:
        assert float(row["low"]) < float(row["confidence"]) <= float(row["high"])
    right = [
        (run.logits.argmax(1) == case.labels).sum()
        for run in case.runs
        if run.model == "finetune-spinal"
    ]
    told = sum(int(row["answers"]) * float(row["accuracy"]) for row in own)
    assert told == pytest.approx(sum(right), rel=1e-4)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("accuracy", "Test accuracy of every model"),
        ("curves-train", "Validation accuracy by epoch, train"),
        ("head-parameters-train", "Test accuracy against parameters of the head, train"),
        ("parameters-finetune", "Test accuracy against parameters of the whole model, finetune"),
        ("confusion-train-spinal", "What train-spinal takes for what"),
    ],
)
def test_titles(name: str, words: str) -> None:
    assert figures.title(name) == words


def test_the_result_says_what_is_synthetic(make: Any, evaluate: Evaluate) -> None:
    for synthetic in (True, False):
        case = make(synthetic=synthetic)
        metrics = summary(case, evaluate)
        words = charts.result(metrics).get_suptitle()
        assert ("synthetic drawings" in words) == synthetic
        assert case.data["source"] in words


def test_mean_confusion_by_hand(make: Any) -> None:
    labels = np.array([0, 0, 1])
    right = np.array([[9, 0, 0], [9, 0, 0], [0, 9, 0]], np.float32)
    wrong = np.array([[9, 0, 0], [0, 9, 0], [9, 0, 0]], np.float32)
    runs = [run_of("train", "dense", s, x) for s, x in enumerate((right, wrong))]
    found = heatmap.mean_confusion(runs, labels)
    runs = [run_of("train", "dense", s, x) for s, x in enumerate((right, wrong))]
    found = heatmap.mean_confusion(runs, labels)
    assert found.tolist() == [[0.75, 0.25, 0], [0.5, 0.5, 0], [0, 0, 0]]
