"""Real SQLite stores, real processes, real faults."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil  # type: ignore[import-untyped] # ships no types
import pytest

from quickspine.files import sha256
from quickspine.tracking import attach, store_uri, sweep, tracked_run
from quickspine.tracking.pending import pending
from tests.func.tracked import (
    PARAMS,
    client,
    closed_port,
    configured,
    history,
    journals,
    only_run,
    python,
    runs,
)

recorded_here = pytest.mark.usefixtures("recorded_here")

# What a run holds


@recorded_here
def test_a_run_tells_what_it_was_and_how_it_went(
    project: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_EXP_NAME", "bold-name")
    params = configured()
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
        assert run.tracked
        for epoch in range(3):
            run.log_epoch(epoch, {"loss": 3.0 - epoch, "val_accuracy": 0.5, "skipped": None})
        (project / "history.csv").write_text("epoch,loss\n")
        run.log_artifact(project / "history.csv")
        run.finish(model_digest="m" * 64)
    found = only_run()
    assert found.info.run_name == "train-spinal-1"
    assert found.info.status == "FINISHED"
    assert found.data.params["train.learning_rate"] == "0.003"
    assert found.data.params["train.early_stopping"] == "null"
    assert found.data.params["train.augment.rotation"] == "10.0"
    assert json.loads(found.data.params["data.categories"]) == list(params.data.categories)
    assert {key.partition(".")[0] for key in found.data.params} == {"data", "train"}
    expected = {
        "stage": "train",
        "head": "spinal",
        "seed": "1",
        "device": "cpu",
        "source": "doodles",
        "synthetic": "true",
        "params_digest": params.digest("data", "train"),
        "data_digest": "d" * 64,
        "model_digest": "m" * 64,
        "dvc_experiment": "bold-name",
        "parameters": "12345",
        "host": socket.gethostname(),
        "pid": str(os.getpid()),
    }
    assert expected.items() <= found.data.tags.items()
    assert "absent" not in found.data.tags
    assert "git_commit" not in found.data.tags  # the project here is no repository
    assert history(found, "loss") == [(0, 3.0), (1, 2.0), (2, 1.0)]
    assert "skipped" not in found.data.metrics
    (dataset,) = found.inputs.dataset_inputs
    assert (dataset.dataset.name, dataset.dataset.digest) == ("doodles", "d" * 12)
    assert json.loads(dataset.dataset.profile) == {"train": 9600, "validation": 1200}
    artifacts = project / "mlruns" / "artifacts" / found.info.run_id / "artifacts"
    assert sorted(p.name for p in artifacts.iterdir()) == ["environment.json", "history.csv"]
    assert json.loads((artifacts / "environment.json").read_text())["packages"]["mlflow"]
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_system_metrics_are_sampled_and_the_sampling_ends(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quickspine.tracking.run.SAMPLING_S", 0.05)
    key = "system/cpu_utilization_percentage"
    with tracked_run(configured(system_metrics=True), stage="train") as run:
        deadline = time.monotonic() + 60
        while run.run_id is None or key not in client().get_run(run.run_id).data.metrics:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    found = only_run()
    points = client().get_metric_history(found.info.run_id, key)
    assert points
    assert all(point.timestamp <= found.info.end_time + 1000 for point in points)
    assert journals(project) == []


@recorded_here
def test_environment_variables_of_an_outer_run_do_not_hijack(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "f" * 32)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "777")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", closed_port())
    with tracked_run(configured(), stage="train") as run:
        run.log_epoch(0, {"loss": 1.0})
    assert only_run().info.run_id != "f" * 32
    assert history(only_run(), "loss") == [(0, 1.0)]
    assert capsys.readouterr().err == ""


@recorded_here
def test_a_password_in_the_params_reaches_no_store(project: Path) -> None:
    params = configured()
    secret = params.data.model_copy(update={"mirror": "https://me:hunter2@mirror.example/x"})
    with tracked_run(params.model_copy(update={"data": secret}), stage="fetch"):
        pass
    assert only_run().data.params["data.mirror"] == "https://***@mirror.example/x"
    assert not [key for key in only_run().data.params if key.startswith("tracking.")]
    assert b"hunter2" not in (project / "mlruns" / "mlflow.db").read_bytes()


@recorded_here
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("x"), "FAILED"),
        (KeyboardInterrupt(), "KILLED"),
        (SystemExit(143), "KILLED"),
        (SystemExit(2), "FAILED"),
        (SystemExit(0), "FINISHED"),
    ],
)
def test_what_the_work_raises_passes_and_marks_the_run(
    project: Path, error: BaseException, status: str
) -> None:
    def work() -> None:
        with tracked_run(configured(), stage="train"):
            raise error

    with pytest.raises(type(error)) as caught:
        work()
    assert caught.value is error
    assert only_run().info.status == status


@recorded_here
def test_a_moved_project_takes_its_runs_along(project: Path) -> None:
    (project / "history.csv").write_text("epoch,loss\n")
    with tracked_run(configured(), stage="train") as run:
        run.log_artifact(project / "history.csv")
    moved = project.rename(project.with_name("moved 100% ünder"))
    os.chdir(moved)
    with tracked_run(configured(), stage="evaluate"):
        pass
    by_stage = {run.data.tags["stage"]: run for run in runs()}
    assert set(by_stage) == {"train", "evaluate"}
    for found in by_stage.values():
        assert found.info.artifact_uri.startswith((moved / "mlruns" / "artifacts").as_uri() + "/")
    copy = client().download_artifacts(by_stage["train"].info.run_id, "history.csv")
    assert Path(copy).read_text() == "epoch,loss\n"
    assert not project.exists()


# Models


@recorded_here
def test_a_logged_model_answers_through_pyfunc(
    project: Path, model_file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import keras
    import mlflow

    with tracked_run(configured(), stage="train", head="dense", seed=2) as run:
        run.log_model(model_file.parent, input_shape=(28, 28, 1), classes=3)
    uri = f"models:/{run.model_id}"
    assert capfd.readouterr().err == ""
    found = only_run()
    assert found.data.tags["model_digest"] == sha256(model_file)
    (logged,) = found.outputs.model_outputs
    assert uri == f"models:/{logged.model_id}"
    entry = client().get_logged_model(logged.model_id)
    assert (entry.name, str(entry.status)) == ("train-dense-2", "READY")
    assert entry.tags["model_digest"] == sha256(model_file)
    place = project / "mlruns" / "artifacts" / "models" / logged.model_id / "artifacts"
    assert (place / "artifacts" / "model.keras").read_bytes() == model_file.read_bytes()
    assert not list(place.rglob("*.pkl"))
    mlflow.set_tracking_uri(store_uri(configured().tracking))
    images = np.random.default_rng(1).integers(0, 256, (5, 28, 28, 1), dtype=np.uint8)
    expected = keras.saving.load_model(model_file).predict(images, verbose=0)
    for name in (uri, f"runs:/{found.info.run_id}/train-dense-2"):
        served = mlflow.pyfunc.load_model(name)
        answer = served.predict(images)
        assert (answer.dtype, answer.shape) == (np.float32, (5, 3))
        np.testing.assert_array_equal(answer, expected)
    with pytest.raises(mlflow.MlflowException, match="float32"):
        served.predict(images.astype(np.float32))


@recorded_here
def test_a_logged_model_answers_in_a_process_that_knows_nothing_of_it(
    project: Path, model_file: Path
) -> None:
    with tracked_run(configured(), stage="train", head="spinal", seed=1) as run:
        run.log_model(model_file, input_shape=(28, 28, 1), classes=3)
    program = """
import mlflow, numpy as np
mlflow.set_tracking_uri(sys.argv[1])
served = mlflow.pyfunc.load_model(sys.argv[2])
print(served.predict(np.zeros((2, 28, 28, 1), np.uint8)).shape)
"""
    uri = store_uri(configured().tracking)
    child = python(program, project, arguments=[uri, f"models:/{run.model_id}"])
    out, error = child.communicate()
    assert out == "(2, 3)\n", error


@recorded_here
def test_test_metrics_find_the_training_by_the_digest_of_the_model(
    project: Path, model_file: Path
) -> None:
    digest = sha256(model_file)
    for seed in (1, 2):
        with tracked_run(configured(), stage="train", seed=seed) as run:
            run.log_model(model_file, input_shape=(28, 28, 1), classes=3)
    with tracked_run(configured(), stage="train", seed=3) as run:
        run.finish(model_digest="another")
    tracking = configured().tracking
    attach(tracking, digest, {"test_accuracy": 0.75}, {"verdict": "better"})
    with tracked_run(configured(), stage="evaluate"):
        attach(tracking, "unknown", {"test_accuracy": 0.1})
        attach(tracking, digest, {"test_loss": 2.0})
    expected = {"test_accuracy": 0.75, "test_loss": 2.0}
    assert len(runs()) == 4
    for found in runs():
        hit = found.data.tags.get("seed") in ("1", "2")
        assert found.data.metrics == (expected if hit else {})
        assert found.data.tags.get("verdict") == ("better" if hit else None)
        for logged in found.outputs.model_outputs:
            metrics = client().get_logged_model(logged.model_id).metrics
            assert {metric.key: metric.value for metric in metrics} == expected


@recorded_here
def test_nothing_is_made_to_attach_to(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    attach(configured().tracking, "0" * 64, {"test_accuracy": 0.5})
    assert list(empty.iterdir()) == []
    assert capsys.readouterr().err == ""


# Several processes, and kills


def test_four_processes_start_at_once_on_an_empty_folder(empty: Path) -> None:
    program = """
print("ready", flush=True)
seed = int(sys.stdin.readline())
with tracked_run(params, stage="train", head="spinal", seed=seed) as run:
    for epoch in range(3):
        run.log_epoch(epoch, {"loss": 1.0 / (1 + epoch)})
print(run.run_id)
"""
    children = [python(program, empty, stdin=subprocess.PIPE) for _ in range(4)]
    for child in children:  # the slow imports behind them, they set off together
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for seed, child in enumerate(children):
        assert child.stdin is not None
        child.stdin.write(f"{seed}\n")
        child.stdin.flush()
    answers = [child.communicate() for child in children]
    assert [error for _, error in answers] == [""] * 4
    assert {run.info.run_id for run in runs()} == {out.strip() for out, _ in answers}
    assert len(runs()) == 4
    for found in runs():
        assert found.info.status == "FINISHED"
        assert [step for step, _ in history(found, "loss")] == [0, 1, 2]
    assert sorted(p.name for p in (empty / "mlruns").iterdir()) == [
        "artifacts",
        "mlflow.db",
        "mlflow.lock",
    ]


TRAINING = """
with tracked_run(params, stage="train", head="spinal", seed=1) as run:
    run.log_epoch(0, {"loss": 1.0})
    while run.run_id is None and not sys.argv[1:]:
        time.sleep(0.05)
    print("training", flush=True)
    time.sleep(60)
"""


@contextlib.contextmanager
def training(folder: Path, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """A training whose run is in the store; with an argument, one that has just begun."""
    child = python(TRAINING, folder, arguments=arguments, start_new_session=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "training\n", child.communicate()
    relays = psutil.Process(child.pid).children()
    try:
        yield child
    finally:
        child.kill()
        child.communicate()
        psutil.wait_procs(relays, timeout=60)
        assert not any(relay.is_running() for relay in relays)


def kill_both(child: "subprocess.Popen[str]") -> None:
    """As a full memory or a job's end would: the training and its relay."""
    for process in [*psutil.Process(child.pid).children(), psutil.Process(child.pid)]:
        process.kill()
    child.wait()


def wait_until_killed() -> None:
    """Until the relay of the one run, which outlives it for a moment, told its end."""
    deadline = time.monotonic() + 60
    while [run.info.status for run in runs()] != ["KILLED"]:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_relay_that_outlives_its_training_closes_the_run(project: Path) -> None:
    with training(project) as child:
        child.send_signal(signal.SIGKILL)
        wait_until_killed()
    assert history(only_run(), "loss") == [(0, 1.0)]
    assert journals(project) == []


def test_what_a_kill_of_both_leaves_the_next_start_closes(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with training(project) as child:
        assert sweep(configured().tracking) == 0  # it lives
        (journal,) = journals(project)
        deadline = time.monotonic() + 60
        while not pending(project)[0].delivered:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        kill_both(child)
        assert only_run().info.status == "RUNNING"
        assert journals(project) == [journal]
        with tracked_run(configured(), stage="train", head="spinal", seed=2) as run:
            while run.run_id is None:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert sorted(found.info.status for found in runs()) == ["KILLED", "RUNNING"]
    assert sorted(found.info.status for found in runs()) == ["FINISHED", "KILLED"]
    assert sweep(configured().tracking) == 0
    assert journals(project) == []
    assert capfd.readouterr().err == ""


def test_runs_of_another_host_are_left_alone(project: Path) -> None:
    client().create_run("1", tags={"host": "another", "pid": "1", "process_start": "1"})
    client().create_run("1")
    assert sweep(configured().tracking) == 0
    assert [run.info.status for run in runs()] == ["RUNNING"] * 2


def test_sigterm_in_a_stage_marks_the_run(project: Path) -> None:
    program = """
from quickspine.cli import main

def work(params, args):
    with tracked_run(quick_params, stage="train") as run:
        print("training", flush=True)
        time.sleep(60)

quick_params = params
sys.argv = ["train", "--params", sys.argv[1]]
main("train", "Trains.", work)
"""
    child = python(program, project, arguments=[str(PARAMS)])
    assert child.stdout is not None
    assert child.stdout.readline() == "training\n", child.communicate()
    child.send_signal(signal.SIGTERM)
    _, error = child.communicate(timeout=30)
    assert child.returncode == 1
    assert "interrupted" in error
    wait_until_killed()  # MLflow may still have been starting


def test_ctrl_c_marks_the_run(project: Path) -> None:
    with training(project) as child:
        os.killpg(child.pid, signal.SIGINT)  # as a terminal does
        assert child.wait(timeout=30) == -signal.SIGINT
    assert only_run().info.status == "KILLED"
    assert journals(project) == []
