"""What docs/experiments.md shows: DVC's tables and charts, a sweep that is queued and run."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.func.project import Project

pytestmark = pytest.mark.slow
STAGES = ("train", "finetune")
HEADS = ("dense", "spinal")
NAMES = (*HEADS, *(f"{head}_validation" for head in HEADS), "difference", "p_holm")
NUMBERS = {f"{stage}.{name}" for stage in STAGES for name in NAMES}


@pytest.fixture(scope="module")
def plots(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `dvc plots show --json` says."""
    out = tmp_path_factory.mktemp("plots")
    shown = finished.run("dvc", "plots", "show", "--json", "-o", str(out))
    assert "failed" not in shown.stderr
    found: dict[str, Any] = json.loads(shown.stdout)
    return found


def test_metrics_are_the_few_that_are_compared(finished: Project) -> None:
    shown = json.loads(finished.run("dvc", "metrics", "show", "--json").stdout)
    (files,) = (each["data"] for each in shown.values())
    assert list(files) == ["evaluation/summary.json"]
    found = files["evaluation/summary.json"]["data"]
    assert found == finished.json("evaluation/summary.json")
    names = {f"{stage}.{name}" for stage, numbers in found.items() for name in numbers}
    assert names == NUMBERS
    whole = finished.json("evaluation/metrics.json")
    for stage in STAGES:
        spinal = whole["models"][f"{stage}-spinal"]
        assert found[stage]["spinal"] == pytest.approx(spinal["accuracy"]["mean"], abs=1e-5)
        assert found[stage]["spinal_validation"] == pytest.approx(
            spinal["validation_accuracy"]["mean"], abs=1e-5
        )


def test_every_plot_is_drawn_from_what_evaluate_wrote(
    finished: Project, plots: dict[str, Any]
) -> None:
    listed = YAML(typ="safe").load(finished.path / "dvc.yaml")["plots"]
    names = {entry if isinstance(entry, str) else next(iter(entry)) for entry in listed}
    assert set(plots) == {"data"}  # no errors
    assert set(plots["data"]) == names
    for drawn in plots["data"].values():
        assert drawn
        for each in drawn:
            assert "<DVC_METRIC" not in json.dumps(each.get("content", ""))


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("Validation accuracy", "history.csv"),
        ("Test accuracy of each category", "per-category.csv"),
        ("Confusion matrix", "confusion.csv"),
        ("Calibration", "calibration.csv"),
    ],
)
def test_a_chart_holds_every_row_and_names_only_columns_that_are_there(
    finished: Project, name: str, file: str
) -> None:
    spec = json.loads(finished.run("dvc", "plots", "show", name, "--show-vega").stdout)
    with (finished.path / "evaluation/plots" / file).open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    points = spec["data"]["values"]
    assert [{key: point[key] for key in rows[0]} for point in points] == rows
    made = {"rev"} | set(re.findall(r'"as": "(\w+)"', json.dumps(spec)))
    used = set(re.findall(r'"field": "(\w+)"', json.dumps(spec)))
    assert used <= made | set(rows[0])


def test_the_page_of_plots_says_when_it_cannot_be_drawn(finished: Project, tmp_path: Path) -> None:
    finished.run("dvc", "plots", "show", "-o", str(tmp_path))
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert page.count("vegaEmbed('#") == 5
    assert 'id="offline" hidden' in page
    assert {url.split("/")[2] for url in re.findall(r'src="(https?:[^"]+)', page)} == {
        "cdn.jsdelivr.net"
    }
    pictures = re.findall(r'<img src="([^"]+)', page)
    assert [(tmp_path / picture).is_file() for picture in pictures] == [True]


def test_two_learning_rates_are_queued_run_and_compared(copied: Callable[[], Project]) -> None:
    """One of them is that of the first run: its trainings are not run again."""
    project = copied()
    before = (project.path / "params.yaml").read_bytes()
    rates = "train.learning_rate=0.003,0.01"
    queued = project.run("dvc", "exp", "run", "--queue", "-S", rates).stdout
    assert queued.count("Queued experiment") == 2
    assert (project.path / "params.yaml").read_bytes() == before
    # What becomes of the code here is no business of what was queued.
    module = project.path / "src/quickspine/training/session.py"
    code = module.read_text(encoding="utf-8")
    module.write_text(f"{code}\nraise ImportError('changed after queueing')\n", encoding="utf-8")
    project.run("dvc", "exp", "run", "--run-all")
    module.write_text(code, encoding="utf-8")
    assert project.run("git", "status", "--porcelain").stdout == ""

    shown = project.run("dvc", "exp", "show", "--csv", "--only-changed").stdout
    rows = list(csv.DictReader(io.StringIO(shown)))
    done = {row["train.learning_rate"]: row for row in rows if row["typ"] == "branch_commit"}
    done |= {row["train.learning_rate"]: row for row in rows if row["typ"] == "branch_base"}
    assert set(done) == {"0.003", "0.01"}
    assert not {"finetune.dense", "train.epochs", "data.source"} & set(rows[0])  # all the same

    name = done["0.01"]["Experiment"]
    everything = project.run("dvc", "exp", "show", "--csv").stdout
    columns = next(
        row for row in csv.DictReader(io.StringIO(everything)) if row["Experiment"] == name
    )
    assert set(columns) >= NUMBERS
    assert all(0 <= float(columns[f"{stage}.spinal"]) <= 1 for stage in STAGES)
    changed = json.loads(project.run("dvc", "metrics", "diff", "--json", "HEAD", name).stdout)
    assert list(changed) == ["evaluation/summary.json"]
    # What is corrected for all pairs of all stages may change with any of them.
    own = set(changed["evaluation/summary.json"]) - {"finetune.p_holm"}
    assert all(key.startswith("train.") for key in own)
    # Their runs are in the project's own store, not in the temporary folders.
    log = project.run("python", "-W", "ignore", "-c", LISTING).stdout.splitlines()[-1]
    rates_run = sorted(json.loads(log))
    assert rates_run == [0.003, 0.003, 0.01, 0.01]

    project.run("dvc", "exp", "apply", name)
    assert project.json("models/train-dense-1/metrics.json")["epochs"] == 2
    assert "learning_rate: 0.01 " in (project.path / "params.yaml").read_text(encoding="utf-8")
    assert project.run("dvc", "status", "-q", check=False).returncode == 0
    project.run("dvc", "exp", "remove", "-A")
    assert name not in project.run("dvc", "exp", "show", "--csv", "--only-changed").stdout


LISTING = """
import json, mlflow
from quickspine.params import load
from quickspine.tracking import store_uri
client = mlflow.MlflowClient(store_uri(load().tracking))
experiment = client.get_experiment_by_name("quickspine")
runs = client.search_runs([experiment.experiment_id])
trained = [run for run in runs if run.info.run_name.startswith("train-")]
print(json.dumps([float(run.data.params["train.learning_rate"]) for run in trained]))
"""
