"""What a run holds, and how it ends: real SQLite stores, real processes, real kills."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped] # ships no types
import pytest

from quickspine.files import sha256
from quickspine.tracking import tracked_run
from tests.func.tracked import (
    client,
    closed_port,
    configured,
    history,
    journals,
    only_run,
    python,
    runs,
    wait_for,
    work,
)

delivered_here = pytest.mark.usefixtures("delivered_here")


# What a run holds


@delivered_here
def test_a_run_holds_where_it_comes_from_and_how_it_went(
    project: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_EXP_NAME", "bold-name")
    # Of an outer run; none of these must hijack this one.
    monkeypatch.setenv("MLFLOW_RUN_ID", "f" * 32)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "777")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", closed_port())
    monkeypatch.setattr("sys.argv", [str(project / "pipeline" / "train.py")])
    monkeypatch.setenv("LOGNAME", "ada")
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "one"]):
        subprocess.run([*git, *command], check=True)
    params = configured()
    mirror = params.data.model_copy(update={"mirror": "https://me:hunter2@mirror.example/x"})
    params = params.model_copy(update={"data": mirror})
    with tracked_run(
        params,
        stage="train",
        head="spinal",
        seed=1,
        sections=("data", "train"),
        device="cpu",
        data_digest="d" * 64,
        dataset={"train": 9600, "validation": 1200},
        synthetic=True,
        tags={"parameters": 12345, "absent": None},
    ) as run:
        for epoch in range(3):
            run.log_epoch(epoch, {"loss": 3.0 - epoch, "val_accuracy": 0.5, "skipped": None})
        (project / "history.csv").write_text("epoch,loss\n")
        run.log_artifact(project / "history.csv")
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
    found = only_run()
    assert (found.info.run_name, found.info.status) == ("train-spinal-1", "FINISHED")
    assert found.data.params["train.learning_rate"] == "0.003"
    assert found.data.params["train.early_stopping"] == "null"
    assert found.data.params["train.augment.rotation"] == "10.0"
    assert json.loads(found.data.params["data.categories"]) == list(params.data.categories)
    assert {key.partition(".")[0] for key in found.data.params} == {"data", "train"}
    assert found.data.params["data.mirror"] == "https://***@mirror.example/x"
    assert b"hunter2" not in (project / "mlruns" / "mlflow.db").read_bytes()
    commit = found.data.tags["git_commit"]
    expected = {
        "stage": "train",
        "head": "spinal",
        "seed": "1",
        "device": "cpu",
        "source": "doodles",
        "synthetic": "true",
        "params_digest": params.digest("data", "train"),
        "data_digest": "d" * 64,
        "dvc_experiment": "bold-name",
        "parameters": "12345",
        "pid": str(os.getpid()),
        "dirty": "false",
        "mlflow.source.name": "pipeline/train.py",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": commit,
        "mlflow.user": "ada",
    }
    assert expected.items() <= found.data.tags.items()
    assert len(commit) == 40
    assert "absent" not in found.data.tags
    assert history(found, "loss") == [(0, 3.0), (1, 2.0), (2, 1.0)]
    assert "skipped" not in found.data.metrics
    (dataset,) = found.inputs.dataset_inputs
    assert (dataset.dataset.name, dataset.dataset.digest) == ("doodles", "d" * 12)
    assert json.loads(dataset.dataset.profile) == {"train": 9600, "validation": 1200}
    artifacts = project / "mlruns" / "artifacts" / found.info.run_id / "artifacts"
    assert sorted(p.name for p in artifacts.iterdir()) == ["environment.json", "history.csv"]
    assert json.loads((artifacts / "environment.json").read_text())["packages"]["mlflow"]


@pytest.mark.slow
def test_system_metrics_are_sampled_and_the_first_is_a_real_one(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quickspine.tracking.run.SAMPLING_S", 0.5)
    key = "system/cpu_utilization_percentage"
    with tracked_run(configured(system_metrics=True), stage="train"):
        wait_for(lambda: runs() and key in only_run().data.metrics)
        sum(range(10**7))  # some load
    found = only_run()
    points = client().get_metric_history(found.info.run_id, key)
    assert points[0].value > 0
    assert all(point.timestamp <= found.info.end_time + 1000 for point in points)
    assert journals(project) == []


@delivered_here
def test_test_metrics_find_the_training_by_the_digest_of_the_model(project: Path) -> None:
    model = project / "model.keras"
    model.write_bytes(b"a model")
    for seed in (1, 2):
        with tracked_run(configured(), stage="train", seed=seed) as run:
            run.log_model(model, input_shape=(28, 28, 1), classes=3)
    with tracked_run(configured(), stage="train", seed=3) as run:
        run.set_tags({"model_digest": "another"})
    with tracked_run(configured(), stage="evaluate", data_digest="e" * 64) as run:
        run.attach("unknown", {"test_accuracy": 0.1})
        run.attach(sha256(model), {"test_accuracy": 0.75})
    assert len(runs()) == 4
    for found in runs():
        is_hit = found.data.tags.get("seed") in ("1", "2")
        assert found.data.metrics == ({"test_accuracy": 0.75} if is_hit else {})
        assert found.data.tags.get("mlflow.parentRunId") == (run.run_id if is_hit else None)
        for logged in found.outputs.model_outputs:
            (metric,) = client().get_logged_model(logged.model_id).metrics
            assert (metric.key, metric.value) == ("test_accuracy", 0.75)
            assert (metric.dataset_name, metric.dataset_digest) == ("doodles", "e" * 12)


# Where the store is


@delivered_here
def test_a_moved_project_takes_its_runs_along_whatever_its_path(project: Path) -> None:
    name = "100% ünder a%20b?c #d"
    with tracked_run(configured(), stage="train") as run:
        (project / "history.csv").write_text("epoch,loss\n")
        run.log_artifact(project / "history.csv")
    with contextlib.closing(sqlite3.connect("mlruns/mlflow.db")) as connection:
        connection.execute("DELETE FROM experiments WHERE experiment_id = 0")  # as a person may
        connection.commit()
    moved = project.rename(project.with_name(name))
    os.chdir(moved)
    work(configured(), moved)
    by_name = {run.info.run_name: run for run in runs()}
    assert set(by_name) == {"train", "train-spinal-1"}
    for found in by_name.values():
        assert found.info.artifact_uri.startswith((moved / "mlruns" / "artifacts").as_uri() + "/")
        assert len(found.outputs.model_outputs) == (found.info.run_name != "train")
    copy = client().download_artifacts(by_name["train"].info.run_id, "history.csv")
    assert Path(copy).read_text() == "epoch,loss\n"
    assert [path.name for path in moved.parent.iterdir()] == [name]  # nothing beside the project
    assert journals(moved) == []


@delivered_here
def test_a_store_that_two_projects_share_is_left_to_both(project: Path, tmp_path: Path) -> None:
    shutil.move(project / "mlruns" / "mlflow.db", tmp_path / "shared.db")
    uri = f"sqlite:///{tmp_path}/shared.db"
    with tracked_run(configured(uri=uri), stage="train"):
        pass
    before = only_run(uri=uri).info.artifact_uri
    other = tmp_path / "other"
    other.mkdir()
    os.chdir(other)
    with tracked_run(configured(uri=uri, experiment="theirs"), stage="train"):
        pass
    assert only_run(uri=uri).info.artifact_uri == before
    assert only_run(uri=uri, experiment="theirs").info.artifact_uri.startswith(other.as_uri())


# Several processes, and kills


@pytest.mark.slow
def test_two_processes_start_at_once_on_an_empty_folder(empty: Path) -> None:
    program = """
import quickspine.tracking.run
quickspine.tracking.run.END_S = 300.0  # however busy the machine
print("ready", flush=True)
seed = int(sys.stdin.readline())
with tracked_run(params, stage="train", head="spinal", seed=seed) as run:
    for epoch in range(3):
        run.log_epoch(epoch, {"loss": 1.0 / (1 + epoch)})
print(run.run_id)
"""
    children = [python(program, empty, stdin=subprocess.PIPE) for _ in range(2)]
    for child in children:  # the slow imports behind them, they set off together
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for seed, child in enumerate(children):
        assert child.stdin is not None
        child.stdin.write(f"{seed}\n")
        child.stdin.flush()
    answers = [child.communicate() for child in children]
    assert [error for _, error in answers] == [""] * 2
    assert {run.info.run_id for run in runs()} == {out.strip() for out, _ in answers}
    for found in runs():
        assert found.info.status == "FINISHED"
        assert [step for step, _ in history(found, "loss")] == [0, 1, 2]
    assert len(runs()) == 2
    left = sorted(p.name for p in (empty / "mlruns").iterdir())
    assert left == ["artifacts", "mlflow.db", "mlflow.lock"]


TRAINING = """
with tracked_run(params, stage="train", head="spinal", seed=1) as run:
    run.log_epoch(0, {"loss": 1.0})
    print("training", flush=True)
    time.sleep(60)
"""


@contextlib.contextmanager
def training(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A training whose run is in the store."""
    child = python(TRAINING, folder, start_new_session=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "training\n", child.communicate()
    relays = psutil.Process(child.pid).children()
    wait_for(lambda: any("loss" in run.data.metrics for run in runs()))
    try:
        yield child
    finally:
        child.kill()
        child.communicate()
        psutil.wait_procs(relays, timeout=60)
        assert not any(relay.is_running() for relay in relays)


@pytest.mark.faults
def test_a_relay_that_outlives_its_training_closes_the_run(project: Path) -> None:
    with training(project) as child:
        child.send_signal(signal.SIGKILL)
        wait_for(lambda: only_run().info.status == "KILLED")
    assert history(only_run(), "loss") == [(0, 1.0)]
    assert journals(project) == []


@pytest.mark.faults
def test_what_a_kill_of_both_leaves_the_next_start_closes_and_nothing_that_lives(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whether a run lives is told by its journal's lock: by no number of a process, no clock."""
    with training(project) as child:
        for process in [*psutil.Process(child.pid).children(), psutil.Process(child.pid)]:
            process.kill()  # as a full memory or a job's end would
        child.wait()
    assert only_run().info.status == "RUNNING"
    (killed,) = journals(project)
    with training(project) as child, tracked_run(configured(), stage="evaluate"):
        wait_for(lambda: not killed.exists())
        wait_for(lambda: len(runs()) == 3)
        assert sorted(run.info.status for run in runs()) == ["KILLED", "RUNNING", "RUNNING"]
    wait_for(lambda: not journals(project))
    assert sorted(run.info.status for run in runs()) == ["FINISHED", "KILLED", "KILLED"]
    assert capfd.readouterr().err == ""
