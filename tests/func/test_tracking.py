"""Real SQLite stores, real processes, real faults."""

import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quickspine.files import sha256
from quickspine.params import Params, load
from quickspine.tracking import attach, project_root, store_uri, sweep, tracked_run
from quickspine.tracking.quiet import quiet
from quickspine.tracking.store import open_store

PARAMS = Path(__file__).parents[2] / "params.yaml"
PRELUDE = f"""
import sys, time
from pathlib import Path
from quickspine.params import load
from quickspine.tracking import tracked_run

params = load({str(PARAMS)!r})
quick = params.tracking.model_copy(update={{"system_metrics": False}})
params = params.model_copy(update={{"tracking": quick}})
"""
Project = Callable[..., Params]


def configured(**changes: Any) -> Params:
    params = load(PARAMS)
    changes = {"system_metrics": False, **changes}
    return params.model_copy(update={"tracking": params.tracking.model_copy(update=changes)})


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with an empty store: making one takes seconds, copying it nothing."""
    folder = tmp_path_factory.mktemp("template")
    with quiet():
        open_store(configured().tracking, folder)
    return folder


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project without a store, with a space in its name; the current folder."""
    folder = tmp_path / "a project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return folder


@pytest.fixture
def project(empty: Path, template: Path) -> Path:
    """A project with a store."""
    shutil.copytree(template / "mlruns", empty / "mlruns")
    return empty


def client() -> Any:
    with quiet():
        return open_store(configured().tracking, project_root()).client


def runs() -> list[Any]:
    return list(client().search_runs(["1"]))


def only_run() -> Any:
    (run,) = runs()
    return run


def history(run: Any, metric: str) -> list[tuple[int, float]]:
    return [(m.step, m.value) for m in client().get_metric_history(run.info.run_id, metric)]


def python(
    program: str, folder: Path, arguments: Sequence[str] = (), **more: Any
) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + program, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def one_warning(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    assert captured.err.startswith("warning: tracking: cannot ")
    for word in words:
        assert word in captured.err
    return captured.err


# What a run holds


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
    import threading

    with tracked_run(configured(system_metrics=True), stage="train") as run:
        deadline = time.monotonic() + 20
        key = "system/cpu_utilization_percentage"
        while key not in client().get_run(run.run_id).data.metrics:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert "SystemMetricsMonitor" in {thread.name for thread in threading.enumerate()}
    assert "SystemMetricsMonitor" not in {thread.name for thread in threading.enumerate()}


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


def test_a_password_in_the_params_reaches_no_store(project: Path) -> None:
    params = configured()
    secret = params.data.model_copy(update={"mirror": "https://me:hunter2@mirror.example/x"})
    with tracked_run(params.model_copy(update={"data": secret}), stage="fetch"):
        pass
    assert only_run().data.params["data.mirror"] == "https://***@mirror.example/x"
    assert not [key for key in only_run().data.params if key.startswith("tracking.")]
    assert b"hunter2" not in (project / "mlruns" / "mlflow.db").read_bytes()


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


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import keras

    from quickspine.nets import heads

    layers = [
        keras.layers.Rescaling(1 / 255),
        keras.layers.Flatten(),
        heads.build("spinal", configured().train, 3, seed=1, initialisation="keras"),
    ]
    model = keras.Sequential([keras.layers.Input((28, 28, 1), dtype="uint8"), *layers])
    folder = tmp_path_factory.mktemp("model")
    with quiet():  # Keras meets a deprecation of NumPy's while saving
        model.save(folder / "model.keras")
    return folder / "model.keras"


def test_a_logged_model_answers_through_pyfunc(
    project: Path, model_file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import keras
    import mlflow

    with tracked_run(configured(), stage="train", head="dense", seed=2) as run:
        started = time.monotonic()
        uri = run.log_model(model_file.parent, input_shape=(28, 28, 1), classes=3)
        took = time.monotonic() - started
    assert capfd.readouterr().err == ""
    assert took < 5  # measured: half a second; inferring the requirements takes 16
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
    assert attach(tracking, digest, {"test_accuracy": 0.75}, {"verdict": "better"}) == 2
    assert attach(tracking, "unknown", {"test_accuracy": 0.1}) == 0
    for found in runs():
        hit = found.data.tags["seed"] in "12"
        assert found.data.metrics == ({"test_accuracy": 0.75} if hit else {})
        assert found.data.tags.get("verdict") == ("better" if hit else None)
        for logged in found.outputs.model_outputs:
            (metric,) = client().get_logged_model(logged.model_id).metrics
            assert (metric.key, metric.value) == ("test_accuracy", 0.75)


def test_nothing_is_made_to_attach_to(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert attach(configured().tracking, "0" * 64, {"test_accuracy": 0.5}) == 0
    assert list(empty.iterdir()) == []
    assert capsys.readouterr().err == ""


# Several processes, and kills


def test_four_processes_start_at_once_on_an_empty_folder(empty: Path) -> None:
    program = """
from quickspine.tracking.quiet import load, quiet

with quiet():
    load()
    import mlflow.store.tracking.sqlalchemy_store
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
    print("training", flush=True)
    time.sleep(60)
"""


@contextlib.contextmanager
def training(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    child = python(TRAINING, folder)
    assert child.stdout is not None
    assert child.stdout.readline() == "training\n", child.communicate()
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def test_sigkill_leaves_a_run_that_the_next_start_closes(project: Path) -> None:
    with training(project) as child:
        assert sweep(configured().tracking) == 0  # it lives
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert only_run().info.status == "RUNNING"
        with tracked_run(configured(), stage="train", head="spinal", seed=2):
            assert sorted(run.info.status for run in runs()) == ["KILLED", "RUNNING"]
    assert sorted(run.info.status for run in runs()) == ["FINISHED", "KILLED"]
    assert sweep(configured().tracking) == 0


def test_runs_of_another_host_are_left_alone(project: Path) -> None:
    client().create_run("1", tags={"host": "another", "pid": "1", "process_start": "1"})
    client().create_run("1")
    assert sweep(configured().tracking) == 0
    assert [run.info.status for run in runs()] == ["RUNNING"] * 2


def test_sigterm_in_a_stage_marks_the_run(project: Path) -> None:
    program = """
from quickspine.stage import main

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
    assert only_run().info.status == "KILLED"


def test_ctrl_c_marks_the_run(project: Path) -> None:
    with training(project) as child:
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=30) == -signal.SIGINT
    assert only_run().info.status == "KILLED"


# Faults


def closed_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def train(params: Params) -> list[float]:
    """Work whose answer shows that it went through to its end."""
    losses = []
    with tracked_run(params, stage="train", head="spinal", seed=1, data_digest="d") as run:
        for epoch in range(3):
            losses.append(1.0 / (1 + epoch))
            run.log_epoch(epoch, {"loss": losses[-1]})
        run.finish(model_digest="0")
    assert not run.tracked
    return losses


def garbage(folder: Path) -> None:
    (folder / "mlruns" / "mlflow.db").write_bytes(b"not a database " * 1000)


def read_only(folder: Path) -> None:
    # By the format's own flag, since permissions do not bind an administrator.
    data = bytearray((folder / "mlruns" / "mlflow.db").read_bytes())
    data[18] = 3
    (folder / "mlruns" / "mlflow.db").write_bytes(data)


def a_folder_instead(folder: Path) -> None:
    (folder / "mlruns" / "mlflow.db").unlink()
    (folder / "mlruns" / "mlflow.db").mkdir()


def another_version(folder: Path) -> None:
    with contextlib.closing(sqlite3.connect(folder / "mlruns" / "mlflow.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
        connection.commit()


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (garbage, "not a database"),
        (read_only, "readonly"),
        (a_folder_instead, "unable to open"),
        (another_version, "ffffffffffff"),
    ],
)
def test_a_damaged_store_costs_one_warning_and_no_training(
    damage: Callable[[Path], None],
    word: str,
    project: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    damage(project)
    started = time.monotonic()
    assert train(configured()) == [1.0, 0.5, 1 / 3]
    assert time.monotonic() - started < 15
    one_warning(capsys, "cannot start a run", word, "going on untracked")
    assert attach(configured().tracking, "0", {"test_accuracy": 0.5}) == 0
    one_warning(capsys, "cannot attach", word)
    assert sweep(configured().tracking) == 0
    one_warning(capsys, "cannot close stale runs", word)


def test_a_file_where_the_store_belongs_costs_one_warning(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(project / "mlruns")
    (project / "mlruns").write_text("")
    assert train(configured()) == [1.0, 0.5, 1 / 3]
    one_warning(capsys, "cannot start a run", "exists")


def test_a_locked_store_costs_one_warning_and_seconds(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quickspine.tracking.sqlite.LOCKED_S", 0.2)
    with contextlib.closing(sqlite3.connect(project / "mlruns" / "mlflow.db")) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        assert train(configured()) == [1.0, 0.5, 1 / 3]
    one_warning(capsys, "database is locked")


@pytest.mark.parametrize("damage", [garbage, lambda folder: shutil.rmtree(folder / "mlruns")])
def test_a_store_lost_on_the_way_costs_one_warning(
    damage: Callable[[Path], None],
    project: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("quickspine.tracking.run.SAMPLING_S", 0.1)
    with tracked_run(configured(system_metrics=True), stage="train") as run:
        run.log_epoch(0, {"loss": 1.0})
        damage(project)
        time.sleep(0.5)  # the sampling of system metrics meets the damage first
        for epoch in range(1, 4):
            run.log_epoch(epoch, {"loss": 1.0})
        run.log_artifact(project)
        run.finish(model_digest="0")
        assert not run.tracked
    one_warning(capsys, "going on untracked")


def test_a_dead_server_costs_one_warning_and_seconds(
    empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = closed_port().replace("http://", "http://me:hunter2@")
    started = time.monotonic()
    assert train(configured(uri=uri)) == [1.0, 0.5, 1 / 3]
    assert time.monotonic() - started < 20
    assert "hunter2" not in one_warning(capsys, "cannot start a run", "refused")
    assert not (empty / "mlruns").exists()


@pytest.mark.parametrize("uri", ["file:./mlruns", "nonsense://x", "sqlite:////dev/null/x.db"])
def test_a_wrong_uri_costs_one_warning(
    uri: str, empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(configured(uri=uri)) == [1.0, 0.5, 1 / 3]
    one_warning(capsys, "cannot start a run")


def test_a_deleted_experiment_is_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    client().delete_experiment("1")
    train(configured())
    one_warning(capsys, "'quickspine' was deleted", "tracking.experiment")


def test_a_missing_model_costs_one_warning(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with tracked_run(configured(), stage="train") as run:
        assert run.log_model(project, input_shape=(28, 28, 1), classes=3) is None
    one_warning(capsys, "cannot log the model", "model.keras")


def test_without_mlflow_the_training_goes_on(empty: Path) -> None:
    program = """
sys.modules["mlflow"] = None
with tracked_run(params, stage="train") as run:
    run.log_epoch(0, {"loss": 1.0})
print("trained")
"""
    child = python(program, empty)
    out, err = child.communicate()
    assert out == "trained\n"
    assert err.count("\n") == 1
    assert "import of mlflow halted" in err
