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
from PIL import Image

from quickspine.evaluation import charts, figures
from quickspine.evaluation.comparison import summarise
from quickspine.evaluation.metrics import ModelRun
from quickspine.params import Evaluate
from tests.unit.evaluation.answers import run_of


def write(place: Path, case: Any, evaluate: Evaluate) -> dict[str, str]:
    metrics = summarise(case.runs, case.labels, case.categories, case.data, evaluate)
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
    confusions = [f"confusion-{model}" for model in models]
    assert list(inline) == ["accuracy", "curves", *confusions]
    assert {path.name for path in place.iterdir()} == {
        "history.csv", "per-category.csv", "result.png",
        *(f"{name}.svg" for name in inline), *(f"{name}.csv" for name in confusions),
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
    figures.write(Path("plots"), [], [], [], {})
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


def test_answers_are_those_of_the_first_seed(plots: Any) -> None:
    place, _, case = plots
    found = rows(place / "confusion-finetune-dense.csv")
    run = next(run for run in case.runs if run.name == "finetune-dense-1")
    names = np.array(case.categories)
    assert [row["actual"] for row in found] == names[case.labels].tolist()
    assert [row["predicted"] for row in found] == names[run.logits.argmax(1)].tolist()


def test_per_category(plots: Any) -> None:
    place, _, case = plots
    found = rows(place / "per-category.csv")
    assert len(found) == 4 * 4
    assert {row["drawings"] for row in found} == {"25"}
    runs = [run for run in case.runs if run.model == "train-dense"]
    right = np.mean([(run.logits.argmax(1) == case.labels)[25:50].mean() for run in runs])
    row = next(row for row in found if row["category"] == "ice cream")
    assert float(row["accuracy"]) == pytest.approx(right, rel=1e-5)


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
    found = rows(tmp_path / "plots" / "confusion-train-dense.csv")
    assert {row["actual"] for row in found} == set(names)


@pytest.mark.parametrize("count", [2, 35, 60])
def test_any_number_of_categories(
    count: int, make: Any, evaluate: Evaluate, tmp_path: Path
) -> None:
    names = [f"category {number}" for number in range(count)]
    case = make(seeds=(1,), stages=("train",), heads=("dense",), categories=names)
    markup = write(tmp_path / "plots", case, evaluate)["confusion-train-dense"]
    assert ("category 1" in markup) == (count <= charts.NAMED)


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
    assert "curves" not in write(tmp_path / "plots", case, evaluate)
    assert not (tmp_path / "plots" / "curves.svg").exists()


def test_means_are_of_epochs_that_all_seeds_reached(make: Any) -> None:
    case = make(seeds=(1, 2), stages=("train",), heads=("dense",))
    first, second = case.runs
    cut = run_of("train", "dense", 2, second.logits, second.history[:2])
    axes = charts.curves([first, cut]).axes[0]
    lengths = [len(line.get_xdata()) for line in axes.get_lines()]  # type: ignore[arg-type]
    assert lengths == [4, 2, 2]


def test_the_result_says_what_is_synthetic(make: Any, evaluate: Evaluate) -> None:
    for synthetic in (True, False):
        case = make(synthetic=synthetic)
        metrics = summarise(case.runs, case.labels, case.categories, case.data, evaluate)
        words = charts.result(metrics).get_suptitle()
        assert ("synthetic drawings" in words) == synthetic
        assert case.data["source"] in words


def test_mean_confusion_by_hand(make: Any) -> None:
    labels = np.array([0, 0, 1])
    right = np.array([[9, 0, 0], [9, 0, 0], [0, 9, 0]], np.float32)
    wrong = np.array([[9, 0, 0], [0, 9, 0], [9, 0, 0]], np.float32)
    runs = [run_of("train", "dense", s, x) for s, x in enumerate((right, wrong))]
    found = charts.mean_confusion(runs, labels)
    assert found.tolist() == [[0.75, 0.25, 0], [0.5, 0.5, 0], [0, 0, 0]]
