import subprocess
import sys
from pathlib import Path

import pytest

from quickspine.params import Tracking
from quickspine.tracking import project_root, store_uri


def tracking(uri: str | None) -> Tracking:
    return Tracking(enabled=True, experiment="quickspine", uri=uri, system_metrics=False)


def test_the_store_is_in_the_project(tmp_path: Path) -> None:
    assert store_uri(tracking(None), tmp_path) == f"sqlite:///{tmp_path}/mlruns/mlflow.db"


@pytest.mark.parametrize("uri", ["https://mlflow.example.org", "postgresql://u:p@db/mlflow"])
def test_a_given_uri_is_taken_as_it_is(uri: str, tmp_path: Path) -> None:
    assert store_uri(tracking(uri), tmp_path) == uri


def test_a_relative_sqlite_path_starts_at_the_project(tmp_path: Path) -> None:
    assert store_uri(tracking("sqlite:///a/b.db"), tmp_path) == f"sqlite:///{tmp_path}/a/b.db"
    assert store_uri(tracking("sqlite:////a/b.db"), tmp_path) == "sqlite:////a/b.db"


def test_dvc_root_wins_over_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    assert project_root() == elsewhere
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    assert project_root() == tmp_path


def test_an_inherited_tracking_uri_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://elsewhere.example.org")
    assert store_uri(tracking(None), tmp_path).startswith("sqlite:///")


def test_neither_the_room_nor_a_disabled_run_imports_mlflow(tmp_path: Path) -> None:
    program = """
import sys
from quickspine.params import load
from quickspine.tracking import attach, store_uri, sweep, tracked_run

params = load(sys.argv[1])
store_uri(params.tracking)
off = params.tracking.model_copy(update={"enabled": False})
params = params.model_copy(update={"tracking": off})
with tracked_run(params, stage="train", head="spinal", seed=1) as run:
    run.log_epoch(0, {"loss": 1.0})
    run.log_metrics({"accuracy": 0.5})
    run.set_tags({"a": "b"})
    run.log_model("models", input_shape=(28, 28, 1), classes=2)
    run.log_artifact("models")
    run.finish(model_digest="0")
assert not run.tracked and run.run_id is None
attach(off, "0", {"test_accuracy": 0.5})
assert sweep(off) == 0
print(sorted(m for m in ("mlflow", "tensorflow", "pandas", "psutil") if m in sys.modules))
"""
    params = Path(__file__).parents[3] / "params.yaml"
    done = subprocess.run(
        [sys.executable, "-c", program, params], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("['psutil']\n", "")
    assert list(tmp_path.iterdir()) == []


def test_a_tracked_run_does_not_import_mlflow_either(tmp_path: Path) -> None:
    program = """
import sys
from quickspine.params import load
from quickspine.tracking import tracked_run

params = load(sys.argv[1])
on = params.tracking.model_copy(update={"uri": "http://127.0.0.1:9/", "system_metrics": True})
with tracked_run(params.model_copy(update={"tracking": on}), stage="train") as run:
    run.log_epoch(0, {"loss": 1.0})
print(sorted(m for m in ("mlflow", "tensorflow", "pandas") if m in sys.modules))
"""
    params = Path(__file__).parents[3] / "params.yaml"
    done = subprocess.run(
        [sys.executable, "-c", program, params], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout == "[]\n", done.stderr
    assert done.stderr.count("make sync") == 1


def test_sync_answers_for_help_without_mlflow() -> None:
    program = """
import sys
from quickspine.tracking.sync import main

try:
    main(["--help"])
except SystemExit as error:
    assert error.code == 0
print(sorted(m for m in ("mlflow", "tensorflow", "pandas") if m in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout.splitlines()[-1], done.stderr) == ("[]", "")
