"""What can happen to a store or a server: no training is lost, no run either."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped] # ships no types
import pytest

from quickspine.tracking import attach, sweep, tracked_run
from quickspine.tracking.pending import read_state
from quickspine.tracking.quiet import quiet
from quickspine.tracking.sync import sync
from tests.func.tracked import (
    assert_recorded_once,
    assert_worked,
    client,
    closed_port,
    configured,
    journals,
    only_run,
    python,
    runs,
    work,
)
from tests.func.tracking_server import Door, door

STORE = Path("mlruns/mlflow.db")
recorded_here = pytest.mark.usefixtures("recorded_here")


def one_warning(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    assert captured.err.startswith("warning: tracking: cannot ")
    for word in words:
        assert word in captured.err
    return captured.err


# The project's own store


def garbage() -> Callable[[], object]:
    good = STORE.read_bytes()
    STORE.write_bytes(b"not a database " * 1000)
    return lambda: STORE.write_bytes(good)


def read_only() -> Callable[[], object]:
    # By the format's own flag, since permissions do not bind an administrator.
    good = STORE.read_bytes()
    data = bytearray(good)
    data[18] = 3
    STORE.write_bytes(data)
    return lambda: STORE.write_bytes(good)


def read_only_by_the_system() -> Callable[[], object]:
    # Permissions do not bind an administrator, the attribute does.
    def attribute(change: str) -> None:
        done = subprocess.run(["chattr", change, STORE], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"only administrators on some file systems can: {done.stderr.strip()}")

    if os.geteuid():
        STORE.chmod(0o444)
        return lambda: STORE.chmod(0o644)
    if shutil.which("chattr") is None:
        pytest.skip("no chattr here to make a file read-only for an administrator")
    attribute("+i")
    return lambda: attribute("-i")


def a_folder_instead() -> Callable[[], object]:
    good = STORE.read_bytes()
    STORE.unlink()
    STORE.mkdir()

    def mend() -> None:
        STORE.rmdir()
        STORE.write_bytes(good)

    return mend


def newer_schema() -> Callable[[], object]:
    def version(number: str) -> str:
        with contextlib.closing(sqlite3.connect(STORE)) as connection:
            ((old,),) = connection.execute("SELECT version_num FROM alembic_version")
            connection.execute("UPDATE alembic_version SET version_num = ?", [number])
            connection.commit()
        return str(old)

    old = version("ffffffffffff")
    return lambda: version(old)


def locked() -> Callable[[], object]:
    connection = sqlite3.connect(STORE, check_same_thread=False)
    connection.execute("BEGIN EXCLUSIVE")
    return connection.close


FAULTS = [
    (garbage, "not a database"),
    (read_only, "readonly"),
    (read_only_by_the_system, "readonly"),
    (a_folder_instead, "unable to open"),
    (newer_schema, "ffffffffffff"),
    (locked, "locked"),
]


@recorded_here
@pytest.mark.parametrize(("damage", "word"), FAULTS, ids=[f[0].__name__ for f in FAULTS])
def test_a_store_that_fails_costs_one_warning_and_the_run_is_recorded_later(
    damage: Callable[[], Callable[[], object]],
    word: str,
    project: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("quickspine.tracking.sqlite.LOCKED_S", 0.2)
    mend = damage()
    try:
        assert_worked(work(configured(), project), project)
        one_warning(capsys, "cannot record train-spinal-1", word, "kept", "make sync")
        assert len(journals(project)) == 1
        assert sync(configured().tracking) == 1
        said = capsys.readouterr().out
        assert word in said
        assert "train-spinal-1" in said
        assert sweep(configured().tracking) == 0
        one_warning(capsys, "cannot close stale runs", word)
    finally:
        mend()
    assert sync(configured().tracking) == 0
    assert "1 recorded" in capsys.readouterr().out
    assert_recorded_once(project)
    assert journals(project) == []
    assert sync(configured().tracking) == 0
    assert_recorded_once(project)


@recorded_here
@pytest.mark.parametrize("damage", [garbage, locked])
def test_test_metrics_that_cannot_be_attached_are_attached_later(
    damage: Callable[[], Callable[[], object]],
    project: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("quickspine.tracking.sqlite.LOCKED_S", 0.2)
    work(configured(), project)
    digest = only_run().data.tags["model_digest"]
    mend = damage()
    try:
        attach(configured().tracking, digest, {"test_accuracy": 0.5}, {"seen": "yes"})
        one_warning(capsys, f"test metrics of model {digest[:12]}", "make sync")
    finally:
        mend()
    assert sync(configured().tracking) == 0
    found = only_run()
    assert (found.data.metrics["test_accuracy"], found.data.tags["seen"]) == (0.5, "yes")


def test_test_metrics_wait_for_their_training(
    project: Path, never_recorded: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.func.tracked import RecordedHere

    work(configured(), project)
    (journal,) = journals(project)
    entries = [json.loads(line) for line in (journal / "journal.jsonl").read_text().splitlines()]
    (digest,) = (entry["digests"][""] for entry in entries if entry["kind"] == "model")
    monkeypatch.setattr("quickspine.tracking.run.Background", RecordedHere)
    with tracked_run(configured(), stage="evaluate"):
        attach(configured().tracking, digest, {"test_accuracy": 0.5})
    assert only_run().info.status == "FINISHED"  # the evaluation: all of it but that
    assert len(journals(project)) == 2
    assert sync(configured().tracking) == 0
    (training,) = (run for run in runs() if run.data.tags["stage"] == "train")
    assert training.data.metrics["test_accuracy"] == 0.5
    assert len(runs()) == 2


@recorded_here
def test_a_file_where_the_store_belongs_costs_one_warning(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(project / "mlruns")
    (project / "mlruns").write_text("")
    assert_worked(work(configured(), project), project)
    one_warning(capsys, "cannot keep a run", "going on untracked")


@recorded_here
@pytest.mark.parametrize("uri", ["file:./mlruns", "nonsense://x", "sqlite:////dev/null/x.db"])
def test_a_wrong_uri_costs_one_warning_and_a_right_one_records_the_run(
    uri: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_worked(work(configured(uri=uri), project), project)
    one_warning(capsys, "cannot record train-spinal-1", "make sync")
    assert sync(configured().tracking) == 0
    assert_recorded_once(project)


@recorded_here
def test_a_deleted_experiment_is_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    client().delete_experiment("1")
    work(configured(), project)
    one_warning(capsys, "'quickspine' was deleted", "tracking.experiment")
    with contextlib.closing(sqlite3.connect(STORE)) as connection:
        connection.execute("UPDATE experiments SET lifecycle_stage = 'active'")
        connection.commit()
    assert sync(configured().tracking) == 0
    assert_recorded_once(project)


@recorded_here
def test_what_is_missing_costs_one_warning_and_no_more(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with tracked_run(configured(), stage="train") as run:
        run.log_model(project, input_shape=(28, 28, 1), classes=3)
        run.log_artifact(project / "history.csv")
        run.log_epoch(0, {"loss": "a lot"})  # type: ignore[dict-item] # meant to be wrong
        run.log_epoch(1, {"loss": 0.5})
    one_warning(capsys, "cannot keep the model", "model.keras", "going on without")
    assert only_run().data.metrics == {"loss": 0.5}
    assert only_run().info.status == "FINISHED"


@recorded_here
def test_what_mlflow_refuses_does_not_hold_up_the_rest(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with tracked_run(configured(), stage="train") as run:
        run.log_epoch(0, {"not/../a name": 1.0})
        run.set_tags({"late": "yes"})
        run.log_epoch(1, {"loss": 0.5})
    one_warning(capsys, "cannot record all of train", "the rest is there")
    assert (only_run().data.metrics, only_run().info.status) == ({"loss": 0.5}, "FINISHED")
    assert journals(project) == []


@recorded_here
def test_a_run_that_someone_deleted_is_not_made_again(project: Path, never_recorded: None) -> None:
    work(configured(), project)
    (journal,) = journals(project)
    shutil.copytree(journal, project / "copy")
    assert sync(configured().tracking) == 0
    client().delete_run(only_run().info.run_id)
    shutil.copytree(project / "copy", journal)
    assert sync(configured().tracking) == 0
    assert runs() == []
    assert journals(project) == []


def test_an_artifact_of_the_whole_project_is_not_a_copy_into_itself(
    project: Path, recorded_here: None, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "a.txt").write_text("a")
    with tracked_run(configured(), stage="train") as run:
        run.log_artifact(project, "all")
    assert capsys.readouterr().err == ""
    with quiet():
        names = [a.path for a in client().list_artifacts(only_run().info.run_id, "all")]
    assert names == ["all/a.txt", "all/mlruns"]


# With a real relay beside the training


def test_without_mlflow_the_training_goes_on(empty: Path) -> None:
    (empty / "mlflow.py").write_text("raise ImportError('no MLflow here')")  # found first
    program = """
with tracked_run(params, stage="train") as run:
    run.log_epoch(0, {"loss": 1.0})
print("trained")
"""
    out, err = python(program, empty).communicate()
    assert out == "trained\n"
    assert err.count("\n") == 1
    assert "no MLflow here" in err
    assert len(journals(empty)) == 1


def wait_for(what: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_store_locked_for_a_while_is_waited_for(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unlock = locked()
    with tracked_run(configured(), stage="train") as run:
        run.log_epoch(0, {"loss": 1.0})
        (journal,) = journals(project)
        wait_for(lambda: "locked" in str(read_state(journal).get("fault")))
        unlock()
        wait_for(lambda: run.run_id)
    assert capsys.readouterr().err == ""
    assert only_run().data.metrics == {"loss": 1.0}
    assert journals(project) == []


@pytest.mark.parametrize("gone", ["mlruns/mlflow.db", "mlruns"])
def test_a_store_deleted_on_the_way_costs_nothing(
    gone: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with tracked_run(configured(), stage="train", sections=["train"], head="spinal") as run:
        run.log_epoch(0, {"loss": 1.0})
        wait_for(lambda: run.run_id)
        before = run.run_id
        shutil.rmtree(gone) if Path(gone).is_dir() else Path(gone).unlink()
        for epoch in range(1, 3):
            run.log_epoch(epoch, {"loss": 1.0 / (1 + epoch)})
        (project / "model.keras").write_bytes(b"a model")
        run.log_model(project, input_shape=(28, 28, 1), classes=3)
    assert capsys.readouterr().err == ""
    found = only_run()
    assert found.info.run_id == run.run_id != before
    assert (found.info.status, found.info.run_name) == ("FINISHED", "train-spinal")
    assert found.data.params["train.learning_rate"] == "0.003"
    assert [m.value for m in client().get_metric_history(run.run_id, "loss")] == [1.0, 1 / 2, 1 / 3]
    assert len(found.outputs.model_outputs) == 1
    assert journals(project) == []


@contextlib.contextmanager
def stage(folder: Path, uri: str) -> Iterator[subprocess.Popen[str]]:
    """A stage whose training goes on for a minute; its URI comes by stdin, as params would."""
    program = """
from quickspine.cli import main

uri = sys.stdin.readline().strip()

def work(params, args):
    changed = params.tracking.model_copy(update={"uri": uri, "system_metrics": False})
    with tracked_run(params.model_copy(update={"tracking": changed}), stage="train") as run:
        run.log_epoch(0, {"loss": 1.0})
        print("training", flush=True)
        time.sleep(60)

main("train", "Trains.", work)
"""
    child = python(program, folder, stdin=subprocess.PIPE)
    assert child.stdin is not None
    assert child.stdout is not None
    shutil.copy(Path(__file__).parents[2] / "params.yaml", folder)
    child.stdin.write(uri + "\n")
    child.stdin.flush()
    assert child.stdout.readline() == "training\n", child.communicate()
    relays = psutil.Process(child.pid).children()
    try:
        yield child
    finally:
        child.kill()
        child.communicate()
        for relay in relays:  # they may go on for a bounded time
            with contextlib.suppress(psutil.NoSuchProcess):
                relay.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_never_answers_holds_up_no_signal(empty: Path, number: int) -> None:
    with door() as server:
        server.fault = "hang"
        with stage(empty, server.url) as child:
            wait_for(lambda: server.seen)
            started = time.monotonic()
            child.send_signal(number)
            _, said = child.communicate(timeout=30)
            assert time.monotonic() - started < 5  # the stated limit
    assert child.returncode == 1
    assert [line[:25] for line in said.splitlines()] == [
        "warning: tracking: cannot",
        "train: interrupted; nothi",
    ]
    assert "make sync" in said
    (journal,) = journals(empty)
    assert (
        json.loads((journal / "journal.jsonl").read_text().splitlines()[-1])["status"] == "KILLED"
    )


def test_the_password_of_a_server_is_nowhere(empty: Path) -> None:
    secret = "hunter2"  # noqa: S105 - a test's
    with door() as server:
        server.fault = "500"
        with stage(empty, server.url.replace("://", f"://me:{secret}@")) as child:
            wait_for(lambda: server.seen)
            for process in [psutil.Process(child.pid), *psutil.Process(child.pid).children()]:
                assert secret not in " ".join(process.cmdline())
                assert secret not in str(process.environ())
            child.send_signal(signal.SIGTERM)
            out, said = child.communicate(timeout=30)
    assert "500" in said
    assert secret not in out + said
    for file in (p for p in empty.rglob("*") if p.is_file()):
        assert secret.encode() not in file.read_bytes()


def test_a_server_that_is_down_costs_one_warning(
    empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = closed_port().replace("http://", "http://me:hunter2@")
    started = time.monotonic()
    assert_worked(work(configured(uri=uri), empty), empty)
    assert time.monotonic() - started < 25
    assert "hunter2" not in one_warning(capsys, "refused", "kept", "make sync")
    assert sync(configured(uri=uri).tracking) == 1
    said = capsys.readouterr()
    assert "hunter2" not in said.out + said.err
    assert "train-spinal-1" in said.out


@pytest.fixture
def experiment(served: int, request: pytest.FixtureRequest) -> str:
    return f"for {request.node.name}"


def faulty(server: Door, experiment: str) -> dict[str, Any]:
    return {"uri": server.url, "experiment": experiment}


def test_a_server_that_dies_on_the_way_gets_the_run_once_it_is_back(
    served: int, experiment: str, empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with door(behind=served) as server:
        port, place = server.server_address[1], faulty(server, experiment)
        with tracked_run(configured(**place), stage="train") as run:
            run.log_epoch(0, {"loss": 1.0})
            wait_for(lambda: run.run_id)
            server.fault = "500"
        assert capsys.readouterr().err.count("make sync") == 1
    assert sync(configured(**place).tracking) == 1
    assert "cannot be opened" in capsys.readouterr().out
    with door(int(port), behind=served) as server:
        assert sync(configured(**place).tracking) == 0
        found = only_run(**place)
        assert (found.info.run_id, found.info.status) == (run.run_id, "FINISHED")
        assert found.data.metrics == {"loss": 1.0}


@recorded_here
@pytest.mark.parametrize("after", [3, 5, 9, 14, 20])
def test_a_server_that_fails_at_some_request_gets_the_whole_run_once(
    after: int, served: int, experiment: str, empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with door(behind=served) as server:
        server.fault, server.after = "500", after
        place = faulty(server, experiment)
        assert_worked(work(configured(**place), empty), empty)
        one_warning(capsys, "500", "make sync")
        server.fault = None
        assert sync(configured(**place).tracking) == 0
        assert_recorded_once(empty, **place)


def test_a_server_that_answers_after_three_seconds_each_is_not_waited_for(
    served: int, experiment: str, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quickspine.tracking.run.END_S", 1.0)
    with door(behind=served) as server:
        server.fault, place = "slow", faulty(server, experiment)
        started = time.monotonic()
        assert_worked(work(configured(**place), empty), empty)
        assert time.monotonic() - started < 15
        wait_for(lambda: server.seen)
        server.fault = None
        wait_for(lambda: not journals(empty))  # its relay goes on alone
        assert_recorded_once(empty, **place)


@recorded_here
def test_a_request_that_was_done_though_its_answer_came_too_late_makes_no_second_run(
    served: int, experiment: str, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with door(behind=served) as server:
        place = faulty(server, experiment)
        client(**place)  # makes the experiment
        server.fault, server.after = "late", 5
        work(configured(**place), empty)
        assert any(path.endswith("runs/create") for path in server.seen)
        server.fault = None
        assert sync(configured(**place).tracking) == 0
        assert_recorded_once(empty, **place)
