"""The charts and tables in evaluation/plots/ hold the numbers of the runs."""

from __future__ import annotations

import base64
import csv
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from quickspine.evaluation.metrics import PerCategory
from quickspine.evaluation.report import category_charts, charts, figures
from quickspine.evaluation.report.figures import Chart
from quickspine.evaluation.summary import heads
from quickspine.params import Evaluate
from tests.unit.evaluation.answers import run_of
from tests.unit.evaluation.made import summary
from tests.unit.evaluation.test_page import HOSTILE


def write(place: Path, case: Any, evaluate: Evaluate) -> dict[str, Chart]:
    metrics = summary(case, evaluate)
    return figures.write(place, case.runs, case.labels, case.categories, metrics)


def rows(place: Path) -> list[dict[str, str]]:
    with place.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def plots(
    make: Any, evaluate: Evaluate, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Chart], Any]:
    place, case = tmp_path_factory.mktemp("evaluation") / "plots", make()
    return place, write(place, case, evaluate), case


def test_files(plots: Any) -> None:
    place, drawn, _ = plots
    models = ["train-dense", "train-spinal", "finetune-dense", "finetune-spinal"]
    kinds = ("curves", "head-parameters", "parameters", "latency", "categories", "calibration")
    by_stage = [f"{kind}-{stage}" for stage in ("train", "finetune") for kind in kinds]
    assert list(drawn) == ["accuracy", *by_stage, *(f"confusion-{model}" for model in models)]
    assert {path.name for path in place.iterdir()} == {
        "history.csv", "per-category.csv", "calibration.csv", "confusion.csv", "result.png",
        *(f"{name}.svg" for name in drawn),
    }  # fmt: skip
    with Image.open(place / "result.png") as picture:
        assert picture.width > 1000
        assert not picture.info.get("Software")
    for name, chart in drawn.items():
        document = (place / f"{name}.svg").read_bytes()
        assert chart.src.endswith(base64.b64encode(document).decode())
        assert ET.fromstring(document).get("viewBox")  # noqa: S314 - our own bytes
        assert b"<dc:date>" not in document


def test_same_inputs_same_bytes(plots: Any, evaluate: Evaluate, tmp_path: Path) -> None:
    place, drawn, case = plots
    with mpl.rc_context({"font.size": 30}):  # a reader's own matplotlibrc changes nothing
        assert write(tmp_path / "plots", case, evaluate) == drawn
        assert mpl.rcParams["font.size"] == 30
    for path in place.iterdir():
        assert path.read_bytes() == (tmp_path / "plots" / path.name).read_bytes(), path.name


def test_tables_by_hand(make: Any, evaluate: Evaluate, tmp_path: Path) -> None:
    names = ["cat", 'a "b", c', "moon"]
    labels = np.array([0, 0, 1])
    right = np.array([[9, 0, 0], [9, 0, 0], [0, 9, 0]], np.float32)
    wrong = np.array([[9, 0, 0], [0, 9, 0], [9, 0, 0]], np.float32)
    one, other = make(seeds=(1, 2), stages=("train",), heads=("dense",)).runs
    runs = [replace(one, logits=right), replace(other, logits=wrong, history=[])]
    case = make()
    case.runs, case.labels, case.categories, case.data["test"] = runs, labels, names, 3
    write(tmp_path / "plots", case, evaluate)
    assert [tuple(row.values()) for row in rows(tmp_path / "plots/confusion.csv")] == [
        ("train", "dense", "cat", "cat", "3"),
        ("train", "dense", "cat", 'a "b", c', "1"),
        ("train", "dense", 'a "b", c', "cat", "1"),
        ("train", "dense", 'a "b", c', 'a "b", c', "1"),
    ]
    assert [tuple(row.values())[2:5] for row in rows(tmp_path / "plots/per-category.csv")] == [
        ("cat", "2", "0.75"), ('a "b", c', "1", "0.5"), ("moon", "0", ""),
    ]  # fmt: skip
    history = rows(tmp_path / "plots/history.csv")
    assert len(history) == 4
    assert history[0] == {
        "stage": "train", "head": "dense", "seed": "1", "epoch": "1", "loss": "1",
        "accuracy": "0.5", "val_loss": "1.1", "val_accuracy": "0.4", "learning_rate": "0.003",
    }  # fmt: skip
    shares = category_charts.mean_confusion(runs, labels)
    assert shares.tolist() == [[0.75, 0.25, 0], [0.5, 0.5, 0], [0, 0, 0]]


def test_calibration_counts_every_prediction(plots: Any) -> None:
    place, _, case = plots
    found = rows(place / "calibration.csv")
    assert list(found[0]) == ["stage", "head", "low", "high", "answers", "confidence", "accuracy"]
    own = [row for row in found if (row["stage"], row["head"]) == ("finetune", "spinal")]
    assert sum(int(row["answers"]) for row in own) == 3 * len(case.labels)
    assert all(float(row["low"]) < float(row["confidence"]) <= float(row["high"]) for row in own)
    runs = [run for run in case.runs if run.model == "finetune-spinal"]
    right = sum((run.logits.argmax(1) == case.labels).sum() for run in runs)
    counted = sum(int(row["answers"]) * float(row["accuracy"]) for row in own)
    assert counted == pytest.approx(right, rel=1e-4)


def test_no_name_becomes_markup_in_a_figure(make: Any, evaluate: Evaluate, tmp_path: Path) -> None:
    case = make(seeds=(1,), stages=("train",), categories=HOSTILE)
    for name in write(tmp_path / "plots", case, evaluate):
        root = ET.parse(tmp_path / "plots" / f"{name}.svg").getroot()  # noqa: S314 - our own
        tags = {node.tag.rpartition("}")[2] for node in root.iter()}
        assert not tags & {"script", "img", "b", "foreignObject"}
        if name.startswith("confusion"):
            words = "".join(root.itertext())
            cut = [each if len(each) <= 24 else f"{each[:23]}…" for each in HOSTILE]
            assert all(words.count(each) >= 2 for each in cut)  # rows and columns
    assert {row["actual"] for row in rows(tmp_path / "plots/confusion.csv")} == set(HOSTILE)


def test_curves_are_means_in_bands_of_the_epochs_that_all_seeds_reached() -> None:
    def run(seed: int, epochs: int) -> Any:
        history = [{"epoch": each, "val_accuracy": 0.1 * each + 0.01 * seed}
                   for each in range(1, epochs + 1)]  # fmt: skip
        return run_of("train", "dense", seed, np.zeros((1, 2), np.float32), history)

    axes = charts.curves([run(seed, 3) for seed in (1, 2, 3)]).axes[0]
    assert np.asarray(axes.get_lines()[0].get_ydata()) == pytest.approx([12, 22, 32])
    corners = np.asarray(axes.collections[0].get_paths()[0].vertices)
    assert (corners[:, 1].min(), corners[:, 1].max()) == pytest.approx((11, 33))
    assert len(charts.curves([run(1, 3)]).axes[0].collections) == 0  # one seed has no band
    axes = charts.curves([run(1, 4), run(2, 2)]).axes[0]
    epochs = [np.asarray(line.get_xdata()).tolist() for line in axes.get_lines()]
    assert epochs == [[1, 2], [2, 3, 4]]  # the mean of both; then the seed that went on


def test_heads_against_their_costs(make: Any, evaluate: Evaluate) -> None:
    case = make(heads=("linear", "dense", "matched", "spinal", "progressive"), seeds=(1,))
    models = heads(summary(case, evaluate), "train")
    for name, (key, _) in charts.COSTS.items():
        figure = charts.cost(models, name)
        lines = figure.axes[0].get_lines()
        for number, (head, model) in enumerate(models.items()):
            interval, mark = lines[2 * number : 2 * number + 2]
            assert mark.get_label() == head
            assert np.asarray(mark.get_xdata()).tolist() == [model[key]]
            assert np.asarray(mark.get_ydata()) == pytest.approx([100 * model["accuracy"]["mean"]])
            ends = [100 * end for end in model["accuracy"]["ci95"]]
            assert np.asarray(interval.get_ydata()) == pytest.approx(ends)
        figure.draw_without_rendering()
        places = {tuple(mark.get_window_extent().p0.round(2)) for mark in lines[1::2]}
        assert len(places) == len(models)  # none hides another of equal cost


def measured(*shares: float) -> PerCategory:
    share = np.array(shares)
    return PerCategory(np.full(len(share), 9), share, share - 0.1, share + 0.1)


def test_categories_that_differ_most_come_first() -> None:
    one, other = measured(0.9, 0.5, np.nan, 0.7, 0.2), measured(0.9, 0.6, np.nan, 0.45, 0.4)
    assert category_charts.most_different({"spinal": one, "dense": other}) == [3, 4, 1, 0]
    assert category_charts.most_different({"dense": one}) == [4, 1, 3, 0]  # alone: the hardest
    shares = np.linspace(0, 1, 345)
    both = {"spinal": measured(*shares), "dense": measured(*shares[::-1])}
    axes = category_charts.by_category(both, [f"category {n}" for n in range(345)]).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names[:2] == ["category 0", "category 344"]
    assert len(names) == category_charts.SHOWN
