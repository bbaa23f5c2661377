"""The whole pipeline, as a user runs it."""

from __future__ import annotations

import csv
import hashlib
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

from tests.func.project import Project, stages_run

TRAININGS = ["train@dense-1", "train@spinal-1"]
FINETUNINGS = ["finetune@dense-1", "finetune@spinal-1"]
ALL = ["fetch", "preprocess", "tfrecords", *TRAININGS, *FINETUNINGS, "evaluate"]

MAKES_PREDICTIONS = """
import sys
import numpy as np
import quickspine
model = quickspine.load_model(sys.argv[1])
images = np.zeros((3, 28, 28, 1), np.uint8)
logits = model(images)
assert logits.shape == (3, 4), logits.shape
assert logits.dtype.name == "float32", logits.dtype
"""


def test_outputs_are_those_of_the_contract(finished: Project) -> None:
    for split in ("train", "validation", "test"):
        shards = sorted((finished.path / "data/records").glob(f"{split}-*.tfrecord"))
        assert [shard.name for shard in shards] == [f"{split}-00000-of-00001.tfrecord"]
    manifest = finished.json("data/records/manifest.json")
    assert manifest["categories"] == ["apple", "cat", "ice cream", "zigzag"]
    for stage in ("train", "finetune"):
        for head in ("dense", "spinal"):
            folder = finished.path / "models" / f"{stage}-{head}-1"
            names = sorted(file.name for file in folder.iterdir())
            assert names == ["history.csv", "metrics.json", "model.keras"]
            digest = hashlib.sha256((folder / "model.keras").read_bytes()).hexdigest()
            assert finished.json(f"models/{stage}-{head}-1/metrics.json")["model_digest"] == digest
    for name in ("report.html", "model-card.md"):
        assert (finished.path / "evaluation" / name).is_file()
    assert (finished.path / "evaluation/plots").is_dir()
    assert (finished.path / "evaluation/summary.json").is_file()
    assert not list(finished.path.rglob(".partial-*"))


def test_metrics_have_the_keys_of_the_contract(finished: Project) -> None:
    metrics = finished.json("evaluation/metrics.json")
    records = finished.json("data/records/manifest.json")
    assert metrics["data"]["source"] == "doodles"
    assert metrics["data"]["categories"] == records["categories"]
    for split in ("train", "validation", "test"):
        assert metrics["data"][split] == records["splits"][split]["examples"] > 0
    models = metrics["models"]
    assert set(models) == {"train-dense", "train-spinal", "finetune-dense", "finetune-spinal"}
    for model in models.values():
        assert len(model["accuracy"]["runs"]) == 1
        assert model["accuracy"]["mean"] == pytest.approx(np.mean(model["accuracy"]["runs"]))
        assert model["accuracy"]["std"] == 0
        assert 0 < model["head_parameters"] < model["parameters"]
        assert model["latency_ms"] == model["latency"]["1"]["median_ms"] > 0
        assert set(model["latency"]) == {"1", "256"}
        assert all(0 < each["median_ms"] <= each["p95_ms"] for each in model["latency"].values())
        assert model["memory"]["weights_bytes"] >= 4 * model["parameters"]
        assert 0 < model["head_multiplications"] < model["multiplications"]
        assert model["training_seconds"] > 0
        assert 0 <= model["calibration_error"]["mean"] <= 1
    for stage in ("train", "finetune"):
        comparison = metrics["comparisons"][stage]
        spinal, dense = (models[f"{stage}-{head}"]["accuracy"]["mean"] for head in HEADS)
        assert comparison["accuracy_difference"] == pytest.approx(spinal - dense, abs=2e-6)
        low, high = comparison["ci95"]
        assert low <= comparison["accuracy_difference"] <= high
        assert 0 <= comparison["p_value"] <= 1
        assert isinstance(comparison["verdict"], str)
        assert "error_reduction" in comparison
        assert metrics["pairs"][stage] == {"spinal-dense": comparison}
        assert "(one seed: this says nothing about other seeds)" in comparison["verdict"]


HEADS = ("spinal", "dense")


def test_accuracy_is_that_of_the_predictions(finished: Project) -> None:
    metrics = finished.json("evaluation/metrics.json")
    with np.load(finished.path / "evaluation/predictions.npz", allow_pickle=False) as answers:
        for name, model in metrics["models"].items():
            right = answers[f"logits_{name}-1"].argmax(axis=1) == answers["labels"]
            assert model["accuracy"]["runs"] == pytest.approx([right.mean()], abs=2e-6)


@pytest.mark.slow
def test_a_model_loads_with_nothing_but_quickspine(finished: Project) -> None:
    for name in ("train-spinal-1", "finetune-dense-1"):
        model = finished.path / "models" / name / "model.keras"
        command = (sys.executable, "-c", MAKES_PREDICTIONS, str(model))
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_history_has_a_row_an_epoch(finished: Project) -> None:
    with (finished.path / "models/finetune-spinal-1/history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["phase"], row["epoch"]) for row in rows] == [("head", "1"), ("blocks", "2")]


def test_every_training_is_a_run_and_gets_its_test_metrics(finished: Project) -> None:
    listing = """
import json, mlflow
from quickspine.params import load
from quickspine.tracking import store_uri
client = mlflow.MlflowClient(store_uri(load().tracking))
experiment = client.get_experiment_by_name("quickspine")
runs = client.search_runs([experiment.experiment_id])
print(json.dumps([
    [run.info.run_name, run.info.status, {**run.data.tags, "id": run.info.run_id},
     run.data.metrics, run.data.params,
     len(run.outputs.model_outputs), len(run.inputs.dataset_inputs)] for run in runs]))
"""
    lines = finished.run(sys.executable, "-W", "ignore", "-c", listing).stdout.splitlines()
    import json

    runs = {run[0]: run[1:] for run in json.loads(lines[-1])}
    evaluation = runs["evaluate"][1]["id"]
    trainings = {"train-dense-1", "train-spinal-1", "finetune-dense-1", "finetune-spinal-1"}
    assert set(runs) == {*trainings, "evaluate"}
    for name in trainings:
        status, tags, metrics, params, models, datasets = runs[name]
        assert status == "FINISHED"
        assert (models, datasets) == (1, 1)
        written = finished.json(f"models/{name}/metrics.json")
        assert tags["model_digest"] == written["model_digest"]
        assert tags["data_digest"] == finished.json("data/records/manifest.json")["digest"]
        assert {"git_commit", "dirty", "device", "params_digest"} <= set(tags)
        assert tags["synthetic"] == "true"
        assert tags["mlflow.parentRunId"] == evaluation
        assert {"loss", "val_accuracy", "test_accuracy"} <= set(metrics)
        section = name.partition("-")[0]
        assert f"{section}.learning_rate" in params
    noted = [finished.json(f"models/{name}/metrics.json") for name in trainings]
    accuracy = max(each["val_accuracy"] for each in noted)
    decision = runs["evaluate"][1]["registry_decision"]
    assert "version 1: champion; " in decision
    assert f"right on {accuracy * 100:.2f} % of" in decision
    assert {"train-dense.test_accuracy", "finetune.ci95_low"} <= set(runs["evaluate"][2])


@pytest.mark.slow
def test_another_head_is_compared_with_the_others(copied: Callable[[], Project]) -> None:
    """Only its own trainings run; the rest are those of the first run."""
    project = copied()
    heads = ["dense", "spinal", "progressive"]
    project.set({"heads": heads, "finetune.enabled": False, "tracking.enabled": False})
    finetunings = [f"finetune@{head}-1" for head in heads]  # each leaves skipped.json
    assert sorted(project.repro()) == sorted(["evaluate", *finetunings, "train@progressive-1"])
    metrics = project.json("evaluation/metrics.json")
    assert len(metrics["pairs"]["train"]) == len(metrics["models"]) == 3
    report = (project.path / "evaluation/report.html").read_text(encoding="utf-8")
    for head in heads:
        assert f"train-{head}" in report


def test_a_second_repro_runs_nothing(finished: Project) -> None:
    assert finished.repro() == []
    assert finished.run("dvc", "status", "-q", check=False).returncode == 0


@pytest.mark.slow
def test_an_experiment_runs_what_depends_on_its_change_and_nothing_else(
    copied: Callable[[], Project],
) -> None:
    """What a change to training reruns, the queue's test says."""
    project = copied()
    done = project.run("dvc", "exp", "run", "--name", "top-2", "-S", "evaluate.top_k=2")
    assert stages_run(done.stdout) == ["evaluate"]
    assert "top2_accuracy" in project.json("evaluation/metrics.json")["models"]["train-dense"]
    shown = project.run("dvc", "exp", "show", "--csv").stdout
    assert "top-2" in shown
    header = shown.splitlines()[0].split(",")
    for stage in ("train", "finetune"):  # the metrics are columns
        assert {f"{stage}.dense", f"{stage}.spinal", f"{stage}.difference"} <= set(header)
    # Back again: everything comes out of DVC's run cache.
    project.set({"evaluate.top_k": 3})
    assert project.repro() == []
    assert "top3_accuracy" in project.json("evaluation/metrics.json")["models"]["train-dense"]
    assert project.run("dvc", "status", "-q", check=False).returncode == 0


@pytest.mark.slow
def test_another_category_runs_all_again_and_mlruns_is_not_needed(
    copied: Callable[[], Project],
) -> None:
    project = copied()
    project.run("rm", "-r", "mlruns")
    changes = {"heads": ["spinal"], "finetune.enabled": False}
    project.set({"data.categories": ["apple", "cat", "moon", "zigzag"], **changes})
    assert project.repro() == [stage for stage in ALL if "dense" not in stage]
    metrics = project.json("evaluation/metrics.json")
    assert "moon" in metrics["data"]["categories"]
    assert set(metrics["models"]) == {"train-spinal"}
    assert metrics["comparisons"] == {}  # one head has nothing to be compared with
    assert (project.path / "mlruns/mlflow.db").is_file()


def test_wrong_params_stop_repro_before_it_writes(copied: Callable[[], Project]) -> None:
    project = copied()
    project.set({"train.epochs": -1, "split.test": 0.7, "data.categories": ["aple", "cat"]})
    done = project.run("python", "-m", "pipeline.fetch", check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for key in ("train.epochs", "split", "data.categories"):
        assert key in done.stderr
    assert project.run("dvc", "repro", check=False).returncode != 0
    assert not list(project.path.rglob(".partial-*"))
