"""`make sync`: what waits is recorded once, as it was, whatever happens to the recording."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped] # ships no types
import pytest

from quickspine.tracking import sweep, tracked_run
from quickspine.tracking.journal import Journal
from quickspine.tracking.owner import identity
from quickspine.tracking.pending import claimed, pending
from quickspine.tracking.store import open_store
from quickspine.tracking.sync import sync
from tests.func.tracked import (
    PARAMS,
    RecordedHere,
    assert_recorded_once,
    closed_port,
    configured,
    history,
    journals,
    only_run,
    python,
    runs,
    sync_killed,
    work,
)
from tests.func.tracking_server import door


def test_a_kill_after_any_call_to_the_store_and_another_sync_give_one_run(
    project: Path, never_recorded: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    work(configured(), project)
    shutil.copytree(project / "mlruns", project / "kept")
    fatal = 1
    while sync_killed(monkeypatch, fatal):
        assert sync(configured().tracking) == 0
        assert_recorded_once(project)
        assert journals(project) == []
        shutil.rmtree(project / "mlruns")
        shutil.copytree(project / "kept", project / "mlruns")
        fatal += 1
    assert fatal > 14  # a run, its params, metrics, artifacts, model, tags, end
    assert_recorded_once(project)


def test_kills_in_a_row_each_one_call_later_give_one_run(
    project: Path, never_recorded: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    work(configured(), project)
    fatal = 1
    while sync_killed(monkeypatch, fatal):
        fatal += 1
    assert_recorded_once(project)
    assert fatal > 10  # fewer: what is there is not made again


def run_sync(folder: Path, *arguments: str, **more: Any) -> subprocess.Popen[str]:
    shutil.copy(PARAMS, folder)
    return subprocess.Popen(
        [sys.executable, "-m", "quickspine.tracking.sync", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def test_a_real_kill_of_sync_and_two_at_once_give_one_run(
    project: Path, never_recorded: None
) -> None:
    work(configured(), project)
    killed = run_sync(project)
    (journal,) = journals(project)
    deadline = time.monotonic() + 60
    while not (journal / "state.json").exists():  # in the midst of it
        assert time.monotonic() < deadline
        assert killed.poll() is None
        time.sleep(0.001)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    both = [run_sync(project), run_sync(project)]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert [err for _, err in said if "waiting" not in err] == [""]
    assert_recorded_once(project)
    assert journals(project) == []


def test_a_run_keeps_its_times_and_its_status(
    project: Path, never_recorded: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(error: BaseException) -> None:
        with tracked_run(configured(), stage=type(error).__name__) as run:
            run.log_epoch(0, {"loss": 1.0})
            raise error

    before = int(time.time() * 1000)
    for error in (ValueError("x"), KeyboardInterrupt(), SystemExit(2)):
        with pytest.raises(type(error)):
            ended(error)
    after = int(time.time() * 1000)
    time.sleep(0.1)
    assert sync(configured().tracking) == 0
    found = {run.info.run_name: run for run in runs()}
    statuses = {name: run.info.status for name, run in found.items()}
    expected = {"ValueError": "FAILED", "KeyboardInterrupt": "KILLED", "SystemExit": "FAILED"}
    assert statuses == expected
    for run in found.values():
        assert before <= run.info.start_time <= run.info.end_time <= after


def test_sync_leaves_a_living_run_alone_and_closes_a_killed_one(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = """
import quickspine.tracking.run
from tests.func.tracked import NeverRecorded
quickspine.tracking.run.Background = NeverRecorded
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
    begin = {
        "name": "train",
        "run": True,
        "params": {},
        "tags": {},
        "owner": {**identity(), "host": "another"},
        "experiment": "quickspine",
    }
    journal = Journal(project, begin)
    assert sync(configured().tracking) == 1
    assert "on another" in capsys.readouterr().out
    journal.append("end", status="FINISHED")
    assert sync(configured().tracking) == 0
    assert (only_run().info.status, only_run().data.tags["host"]) == ("FINISHED", "another")


def test_a_journal_that_someone_records_is_left_to_them(
    project: Path, never_recorded: None, capsys: pytest.CaptureFixture[str]
) -> None:
    work(configured(), project)
    (journal,) = journals(project)
    with claimed(journal):
        assert sync(configured().tracking) == 1
    assert "another process records it" in capsys.readouterr().out
    assert sync(configured().tracking) == 0


def test_a_model_that_is_no_longer_what_was_logged_is_not_recorded(
    project: Path, never_recorded: None, capsys: pytest.CaptureFixture[str]
) -> None:
    work(configured(), project)
    (journal,) = journals(project)
    (model,) = journal.rglob("model.keras")
    good = model.read_bytes()
    model.unlink()
    for damaged in (None, b"something else"):
        if damaged is not None:
            model.write_bytes(damaged)
        assert sync(configured().tracking) == 1
        assert "model.keras is missing or damaged" in capsys.readouterr().out
        found = only_run()
        assert (found.info.status, found.data.tags["late"]) == ("FINISHED", "yes")
        assert not found.outputs.model_outputs
    model.write_bytes(good)
    assert sync(configured().tracking) == 0
    assert_recorded_once_but_for_the_model_metric(project)


def assert_recorded_once_but_for_the_model_metric(project: Path) -> None:
    (logged,) = only_run().outputs.model_outputs
    assert logged.model_id
    assert history(only_run(), "loss") == [(0, 1.0), (1, 1 / 2), (2, 1 / 3)]
    assert journals(project) == []


def test_a_damaged_journal_is_named_and_holds_up_no_other(
    project: Path, never_recorded: None, capsys: pytest.CaptureFixture[str]
) -> None:
    work(configured(), project)
    damaged = project / "mlruns" / "pending" / "0123456789"
    damaged.mkdir()
    for content in (b"", b"{\n", b'{"kind": "begin"}\n'):
        (damaged / "journal.jsonl").write_bytes(content)
        assert sync(configured().tracking) == 1
        assert "a damaged journal (01234567): left" in capsys.readouterr().out
    assert_recorded_once(project)


def test_the_next_run_tells_how_many_wait(
    project: Path,
    never_recorded: None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for _ in range(2):
        with tracked_run(configured(), stage="train"):
            pass
    capsys.readouterr()
    monkeypatch.setattr("quickspine.tracking.run.Background", RecordedHere)
    with tracked_run(configured(), stage="train"):
        pass
    note = "note: tracking: 2 earlier runs wait for `make sync`\n"
    assert capsys.readouterr().err == note
    assert len(journals(project)) == 2  # others' are not its business


def test_a_run_whose_process_still_waits_for_its_relay_does_not_wait_for_sync(
    empty: Path,
) -> None:
    """Between the end of a run and the first moment of its relay; told apart by the process."""
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        started = f"{psutil.Process(other.pid).create_time():.2f}"
        owner = {**identity(), "pid": str(other.pid), "process_start": started}
        journal = Journal(empty, {"name": "train", "run": True, "owner": owner})
        journal.append("end", status="FINISHED")
        assert journal.close()
        assert [each.waits() for each in pending(empty)] == [False]
    finally:
        other.kill()
        other.wait()
    assert [each.waits() for each in pending(empty)] == [True]


def test_a_run_that_waits_is_not_swept_as_killed(
    project: Path, never_recorded: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    work(configured(), project)
    assert sync_killed(monkeypatch, 5)
    dead = {"owner": {**identity(), "process_start": "1"}}
    (journal,) = journals(project)
    lines = (journal / "journal.jsonl").read_text().splitlines()
    first = {**json.loads(lines[0]), **dead}
    (journal / "journal.jsonl").write_text("\n".join([json.dumps(first), *lines[1:]]) + "\n")
    store = open_store(configured().tracking, project)
    store.client.set_tag(only_run().info.run_id, "process_start", "1")
    assert sweep(configured().tracking) == 0
    assert only_run().info.status == "RUNNING"
    assert sync(configured().tracking) == 0
    assert only_run().info.status == "FINISHED"


def off(before: str, tracking: str, value: str) -> str:
    """Params whose tracking is switched otherwise."""
    return f"{before}\ntracking:\n{tracking.replace('  enabled: true', f'  enabled: {value}')}"


def test_system_exit_codes_and_words(empty: Path, never_recorded: None) -> None:
    nothing = run_sync(empty)
    assert nothing.communicate() == ("sync: nothing waits to be recorded\n", "")
    assert nothing.returncode == 0
    assert not (empty / "mlruns").exists()
    work(configured(), empty)
    text = PARAMS.read_text()
    before, tracking = text.split("\ntracking:\n")
    for changed, code, words in [
        (text.replace("  uri: null", f"  uri: {closed_port()}"), 1, "refused"),
        (off(before, tracking, "false"), 2, "tracking.enabled: received"),
        (off(before, tracking, "perhaps"), 2, "tracking.enabled"),
    ]:
        assert changed != text
        (empty / "other.yaml").write_text(changed)
        child = run_sync(empty, "--params", "other.yaml")
        out, err = child.communicate(timeout=60)
        assert child.returncode == code, out + err
        assert words in out + err
        assert "Traceback" not in err
    assert len(journals(empty)) == 1


def test_ctrl_c_ends_sync_without_a_traceback(project: Path, never_recorded: None) -> None:
    work(configured(), project)
    with door() as server:
        server.fault = "hang"
        text = PARAMS.read_text().replace("  uri: null", f"  uri: {server.url}")
        (project / "other.yaml").write_text(text)
        child = run_sync(project, "--params", "other.yaml")
        while not server.seen:
            assert child.poll() is None
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=30)
    assert child.returncode == 1
    assert err == "sync: interrupted; run it again, what is recorded stays once\n"


@pytest.fixture
def kept_with_another_name(project: Path, never_recorded: None) -> Path:
    other = configured(experiment="another one")
    work(other, project)
    return project


def test_a_run_goes_to_the_experiment_that_it_was_made_for(kept_with_another_name: Path) -> None:
    assert sync(configured().tracking) == 0
    assert runs() == []
    assert_recorded_once(kept_with_another_name, experiment="another one")
    assert pending(kept_with_another_name) == []


def test_a_spare_run_that_a_slow_server_made_after_all_is_removed(
    project: Path, never_recorded: None
) -> None:
    work(configured(), project)
    (journal,) = journals(project)
    client = open_store(configured().tracking, project).client
    for _ in range(2):
        client.create_run(
            "1",
            start_time=1,  # the begin of the run, as the relay's request would say
            tags={"quickspine_run": journal.name},
            run_name="train-spinal-1",
        )
    assert sync(configured().tracking) == 0
    assert_recorded_once(project)
