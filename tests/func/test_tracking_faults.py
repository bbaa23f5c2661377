"""What can happen to a store, a server or a delivery: no training is lost, and no run either."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped] # ships no types
import pytest

from quickspine.tracking import tracked_run
from quickspine.tracking.delivery import deliver_killed
from quickspine.tracking.journal import Journal, claim
from quickspine.tracking.sync import main, sync
from tests.func.tracked import (
    PARAMS,
    DeliveredHere,
    KilledError,
    assert_recorded_once,
    assert_worked,
    client,
    closed_port,
    configured,
    failing_store,
    history,
    journals,
    only_run,
    python,
    runs,
    wait_for,
    work,
)
from tests.func.tracking_server import door

STORE = Path("mlruns/mlflow.db")
pytestmark = pytest.mark.faults
delivered_here = pytest.mark.usefixtures("delivered_here")
never_delivered = pytest.mark.usefixtures("never_delivered")


def one_warning(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    assert captured.err.startswith("warning: tracking: cannot ")
    for word in words:
        assert word in captured.err
    return captured.err


# Every call to the store


@never_delivered
@pytest.mark.slow
@pytest.mark.parametrize("error", [KilledError(), ConnectionError("the answer is lost")])
def test_a_kill_or_a_fault_after_any_call_to_the_store_gives_one_run(
    error: BaseException, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One run, one model, no point twice; a fault of a moment is got over by the delivery itself.

    The call was carried out when the error comes, which is the worst case.
    """
    monkeypatch.setattr("quickspine.tracking.delivery.LAST_PAUSE_S", 0.0)
    work(configured(), project)
    shutil.copytree(project / "mlruns", project / "kept")
    with monkeypatch.context() as patch:
        calls = failing_store(patch, 0, error)  # none of them
        assert sync(configured().tracking) == 0
    assert len(calls) > 15  # a run, its params, metrics, artifacts, model, tags, end
    for at in range(1, len(calls) + 1, 1 if isinstance(error, KilledError) else 3):
        shutil.rmtree(project / "mlruns")
        shutil.copytree(project / "kept", project / "mlruns")
        with monkeypatch.context() as patch:
            failing_store(patch, at, error)
            if isinstance(error, KilledError):
                with pytest.raises(KilledError):
                    sync(configured().tracking)
            else:
                assert sync(configured().tracking) == 0
        assert len(journals(project)) == isinstance(error, KilledError)
        assert sync(configured().tracking) == 0
        assert_recorded_once(project)
        assert journals(project) == []


# The project's own store


def garbage() -> None:
    STORE.write_bytes(b"not a database " * 1000)


def read_only() -> None:
    # By the format's own flag, since permissions do not bind an administrator.
    data = bytearray(STORE.read_bytes())
    data[18] = 3
    STORE.write_bytes(data)


def a_folder_instead() -> None:
    STORE.unlink()
    STORE.mkdir()


def newer_schema() -> None:
    with contextlib.closing(sqlite3.connect(STORE)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
        connection.commit()


def deleted_experiment() -> None:
    client().delete_experiment("1")


def locked() -> Callable[[], object]:
    connection = sqlite3.connect(STORE, check_same_thread=False)
    connection.execute("BEGIN EXCLUSIVE")
    return connection.close


FAULTS = [
    (garbage, "not a database"),
    (read_only, "readonly"),
    (a_folder_instead, "unable to open"),
    (newer_schema, "ffffffffffff"),
    (locked, "locked"),
    (deleted_experiment, "'quickspine' was deleted"),
]


@delivered_here
@pytest.mark.parametrize(("damage", "word"), FAULTS, ids=[f[0].__name__ for f in FAULTS])
def test_a_store_that_fails_costs_one_warning_and_the_run_is_recorded_later(
    damage: Callable[[], Callable[[], object] | None],
    word: str,
    project: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("quickspine.tracking.store.LOCKED_S", 0.2)
    good = STORE.read_bytes()
    unlock = damage()
    try:
        assert_worked(work(configured(), project), project)
        one_warning(capsys, "cannot record train-spinal-1", word, "kept", "make sync")
        assert len(journals(project)) == 1
        assert sync(configured().tracking) == 1
        said = capsys.readouterr().out
        assert word in said
        assert "train-spinal-1" in said
    finally:
        if unlock is not None:
            unlock()
        else:
            if STORE.is_dir():
                STORE.rmdir()
            STORE.write_bytes(good)
    assert sync(configured().tracking) == 0
    assert "1 recorded" in capsys.readouterr().out
    assert_recorded_once(project)
    assert journals(project) == []


def test_a_store_locked_for_a_while_is_waited_for(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unlock = locked()
    with tracked_run(configured(), stage="train") as run:
        run.log_epoch(0, {"loss": 1.0})
        time.sleep(4)  # its relay is at it
        unlock()
    assert capsys.readouterr().err == ""
    assert only_run().data.metrics == {"loss": 1.0}
    assert journals(project) == []


def test_a_store_deleted_on_the_way_costs_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with tracked_run(configured(), stage="train", sections=["train"], head="spinal") as run:
        run.log_epoch(0, {"loss": 1.0})
        wait_for(runs)
        before = only_run().info.run_id
        shutil.rmtree("mlruns")
        for epoch in range(1, 3):
            run.log_epoch(epoch, {"loss": 1.0 / (1 + epoch)})
        (project / "model.keras").write_bytes(b"a model")
        run.log_model(project, input_shape=(28, 28, 1), classes=3)
    assert capsys.readouterr().err == ""
    found = only_run()
    assert found.info.run_id == run.run_id != before
    assert (found.info.status, found.info.run_name) == ("FINISHED", "train-spinal")
    assert found.data.params["train.learning_rate"] == "0.003"
    assert [value for _, value in history(found, "loss")] == [1.0, 1 / 2, 1 / 3]
    assert len(found.outputs.model_outputs) == 1
    assert journals(project) == []


@delivered_here
def test_a_file_where_the_store_belongs_costs_one_warning(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(project / "mlruns")
    (project / "mlruns").write_text("")
    assert_worked(work(configured(), project), project)
    one_warning(capsys, "cannot keep a run", "going on untracked")


@delivered_here
def test_what_is_missing_or_refused_does_not_hold_up_the_rest(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with tracked_run(configured(), stage="train") as run:
        run.log_model(project, input_shape=(28, 28, 1), classes=3)
        run.log_artifact(project / "history.csv")
        run.log_epoch(0, {"loss": "a lot"})  # type: ignore[dict-item] # meant to be wrong
        run.log_epoch(1, {"loss": 0.5})
    one_warning(capsys, "cannot keep the model", "model.keras", "going on without")
    assert (only_run().data.metrics, only_run().info.status) == ({"loss": 0.5}, "FINISHED")
    with tracked_run(configured(experiment="other"), stage="train") as run:
        run.log_epoch(0, {"not/../a name": 1.0})
        run.set_tags({"late": "yes"})
        run.log_epoch(1, {"loss": 0.5})
    one_warning(capsys, "cannot record all of train", "the rest is there")
    found = only_run(experiment="other")
    assert (found.data.metrics, found.info.status) == ({"loss": 0.5}, "FINISHED")
    assert journals(project) == []


@never_delivered
def test_a_run_that_someone_deleted_is_not_made_again(project: Path) -> None:
    work(configured(), project)
    (journal,) = journals(project)
    shutil.copytree(journal, project / "copy")
    assert sync(configured().tracking) == 0
    client().delete_run(only_run().info.run_id)
    shutil.copytree(project / "copy", journal)
    assert sync(configured().tracking) == 0
    assert runs() == []
    assert journals(project) == []


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


# Servers


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
    shutil.copy(PARAMS, folder)
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
    last = json.loads((journal / "journal.jsonl").read_text().splitlines()[-1])
    assert last["status"] == "KILLED"


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
    assert "make sync" in said
    assert secret not in out + said
    for file in (p for p in empty.rglob("*") if p.is_file()):
        assert secret.encode() not in file.read_bytes()


@delivered_here
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


def test_a_server_slow_and_then_dead_is_not_waited_for_and_gets_the_run_once_it_is_back(
    served: int, empty: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quickspine.tracking.run.END_S", 5.0)
    with door(behind=served) as server:
        place: dict[str, Any] = {"uri": server.url, "experiment": "slow, then dead"}
        client(**place)  # creates the experiment
        server.fault = "slow"
        started = time.monotonic()
        with tracked_run(configured(**place), stage="train") as run:
            run.log_epoch(0, {"loss": 1.0})
            assert time.monotonic() - started < 3  # an answer takes 3 s
            wait_for(lambda: any(path.endswith("runs/create") for path in server.seen))
            server.fault = "500"
        assert capsys.readouterr().err.count("make sync") == 1
        server.fault = None
        wait_for(lambda: sync(configured(**place).tracking) == 0)  # its relay may be at it
        found = only_run(**place)
        assert (found.data.metrics, found.info.status) == ({"loss": 1.0}, "FINISHED")


# make sync


def run_sync(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    shutil.copy(PARAMS, folder)
    return subprocess.Popen(
        [sys.executable, "-m", "quickspine.tracking.sync", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@never_delivered
def test_two_syncs_at_once_give_one_run(project: Path) -> None:
    work(configured(), project)
    both = [run_sync(project), run_sync(project)]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert [err for _, err in said if "waiting" not in err] == [""]
    assert_recorded_once(project)
    assert journals(project) == []


ENDS: dict[BaseException, str] = {
    ValueError("x"): "FAILED",
    KeyboardInterrupt(): "KILLED",
    SystemExit(143): "KILLED",
    SystemExit(2): "FAILED",
    SystemExit(0): "FINISHED",
}


@never_delivered
def test_a_run_recorded_later_keeps_its_times_its_status_and_its_experiment(
    project: Path,
) -> None:
    """What the work raises goes on to its caller, and decides the status."""

    def raising(error: BaseException) -> None:
        with tracked_run(configured(experiment="another one"), stage=repr(error)) as run:
            run.log_epoch(0, {"loss": 1.0})
            raise error

    before = int(time.time() * 1000)
    for error in ENDS:
        with pytest.raises(type(error)) as caught:
            raising(error)
        assert caught.value is error
    after = int(time.time() * 1000)
    time.sleep(0.1)
    assert sync(configured().tracking) == 0
    assert runs() == []
    found = runs(experiment="another one")
    statuses = {run.info.run_name: run.info.status for run in found}
    assert statuses == {repr(error): status for error, status in ENDS.items()}
    for run in found:
        assert before <= run.info.start_time <= run.info.end_time <= after


def test_sync_leaves_a_living_run_alone_and_closes_a_killed_one(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = """
import quickspine.tracking.run
from tests.func.tracked import NeverDelivered
quickspine.tracking.run.Relay = NeverDelivered
with tracked_run(params, stage="train") as run:
    run.log_epoch(0, {"loss": 1.0})
    print("training", flush=True)
    time.sleep(60)
"""
    path = os.pathsep.join([str(PARAMS.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    child = python(program, project, env={**os.environ, "PYTHONPATH": path})
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "training\n", child.communicate()
        assert sync(configured().tracking) == 1
        assert f"still going on, or was killed, as process {child.pid}" in capsys.readouterr().out
        assert runs() == []
    finally:
        child.kill()
        child.communicate()
    assert sync(configured().tracking) == 0
    assert only_run().info.status == "KILLED"
    assert only_run().info.end_time >= only_run().info.start_time
    assert history(only_run(), "loss") == [(0, 1.0)]


def test_runs_of_another_host_wait_for_it_until_they_tell_their_end(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tags = {"host": "another", "pid": "1"}
    begin = {"name": "train", "params": {}, "tags": tags, "experiment": "quickspine"}
    journal = Journal(project, begin)
    journal.close()
    deliver_killed(configured().tracking, project)  # as each relay does when it starts
    assert runs() == []
    assert sync(configured().tracking) == 1
    assert "on another" in capsys.readouterr().out
    with (journal.folder / "journal.jsonl").open("a") as file:
        file.write(json.dumps({"kind": "end", "time_ms": 2**41, "status": "FINISHED"}) + "\n")
    assert sync(configured().tracking) == 0
    assert (only_run().info.status, only_run().data.tags["host"]) == ("FINISHED", "another")


@never_delivered
def test_damaged_and_busy_journals_are_named_and_hold_up_no_other(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work(configured(), project)
    (journal,) = journals(project)
    with claim(journal):
        assert sync(configured().tracking) == 1
    assert "another process delivers it" in capsys.readouterr().out
    (model,) = journal.rglob("model.keras")
    good = model.read_bytes()
    model.unlink()
    model.write_bytes(b"something else")
    damaged = project / "mlruns" / "pending" / "0123456789"
    damaged.mkdir()
    (project / "mlruns" / "pending" / "a file").write_text("")
    for content in (b"", b"{\n", b'{"kind": "begin"}\n', b"\x00\xff\n[]\n"):
        (damaged / "journal.jsonl").write_bytes(content)
        assert sync(configured().tracking) == 2
        said = capsys.readouterr().out
        assert "a damaged journal (01234567): left" in said
        assert "model.keras is missing or damaged" in said
        found = only_run()
        assert (found.info.status, found.data.tags["late"]) == ("FINISHED", "yes")
        assert not found.outputs.model_outputs
    model.write_bytes(good)
    assert sync(configured().tracking) == 1
    assert len(only_run().outputs.model_outputs) == 1


@never_delivered
def test_the_next_run_tells_how_many_wait(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        with tracked_run(configured(), stage="train"):
            pass
    capsys.readouterr()
    monkeypatch.setattr("quickspine.tracking.run.Relay", DeliveredHere)
    with tracked_run(configured(), stage="train"):
        pass
    note = "note: tracking: 2 earlier runs wait for `make sync`\n"
    assert capsys.readouterr().err == note
    assert len(journals(project)) == 2  # others' are not its business


def ended(capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    """Exit code and output of `make sync` with other.yaml."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        main(["--params", "other.yaml"])
    return caught.value.code, "".join(capsys.readouterr())


@never_delivered
def test_exit_codes_and_words_of_sync(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = PARAMS.read_text()
    (empty / "other.yaml").write_text(text)
    assert ended(capsys) == (0, "sync: nothing waits to be recorded\n")
    assert not (empty / "mlruns").exists()
    work(configured(), empty)
    before, section = text.split("\ntracking:\n")
    off = section.replace("  enabled: true", "  enabled: false")
    for changed, code, words in [
        (text.replace("  uri: null", f"  uri: {closed_port()}"), 1, "refused"),
        (f"{before}\ntracking:\n{off}", 2, "tracking.enabled: received"),
    ]:
        assert changed != text
        (empty / "other.yaml").write_text(changed)
        found, said = ended(capsys)
        assert (found, words in said) == (code, True), said
    with door() as server:
        server.fault = "hang"
        text = text.replace("  uri: null", f"  uri: {server.url}")
        (empty / "other.yaml").write_text(text)
        child = run_sync(empty, "--params", "other.yaml")
        wait_for(lambda: server.seen)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=30)
    assert child.returncode == 1
    assert err == "sync: interrupted; run it again, what is recorded stays once\n"
    assert len(journals(empty)) == 1
