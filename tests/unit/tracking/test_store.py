"""Where runs go, and that MLflow is imported by none but relays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from quickspine.params import Tracking
from quickspine.params.paths import project_root
from quickspine.tracking import store_uri

PARAMS = Path(__file__).parents[3] / "params.yaml"


def tracking(uri: str | None) -> Tracking:
    return Tracking(enabled=True, experiment="quickspine", uri=uri, system_metrics=False)


def test_the_store_is_in_the_project_or_where_the_params_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://elsewhere.example.org")  # does not count
    assert store_uri(tracking(None), tmp_path) == f"sqlite:///{tmp_path}/mlruns/mlflow.db"
    assert store_uri(tracking("sqlite:///a/b.db"), tmp_path) == f"sqlite:///{tmp_path}/a/b.db"
    assert store_uri(tracking("sqlite:////a/b.db"), tmp_path) == "sqlite:////a/b.db"
    home = Path.home()
    assert store_uri(tracking("sqlite:///~/b.db"), tmp_path) == f"sqlite:///{home}/b.db"
    for uri in ("https://mlflow.example.org", "postgresql://u:p%40ss@db/mlflow"):
        assert store_uri(tracking(uri), tmp_path) == uri


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        ("outer/mine", "outer/mine"),
        ("outer/mine/notebooks", "outer/mine"),
        ("outer/mine/.dvc/tmp/exps/tmpabc", "outer/mine"),
        ("outer/mine/.dvc/tmp/exps/standalone/tmpdef", "outer/mine"),
        ("outer/.dvc/tmp/exps/tmpabc/below", "outer/below"),
        ("outer/none", "outer"),
        ("nothing/here", "nothing/here"),
    ],
)
def test_runs_go_to_the_nearest_project_or_the_one_that_it_is_a_temporary_copy_of(
    inside: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever DVC_ROOT says: a shell in an outer project, or a stage of one, sets it too."""
    for project in ("outer", "outer/mine"):
        (tmp_path / project / ".dvc").mkdir(parents=True)
    copies = "outer/mine/.dvc/tmp/exps/tmpabc", "outer/mine/.dvc/tmp/exps/standalone/tmpdef"
    below = "outer/below", "outer/.dvc/tmp/exps/tmpabc/below"
    for project in ("outer/mine", *copies, *below):
        (tmp_path / project).mkdir(parents=True, exist_ok=True)
        (tmp_path / project / "dvc.yaml").write_text("")
    (tmp_path / inside).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(tmp_path / inside)
    for outer in ("outer", "nothing", "outer/mine"):
        monkeypatch.setenv("DVC_ROOT", str(tmp_path / outer))
        assert project_root() == tmp_path / expected


def test_no_run_imports_mlflow_and_a_disabled_one_does_nothing(tmp_path: Path) -> None:
    program = """
import contextlib, sys
from pathlib import Path
from quickspine.params import load
from quickspine.tracking import tracked_run
from quickspine.tracking.sync import main

params = load(sys.argv[1])

def track(**changes):
    tracking = params.tracking.model_copy(update=changes)
    changed = params.model_copy(update={"tracking": tracking})
    with tracked_run(changed, stage="train", head="spinal", seed=1) as run:
        run.log_epoch(0, {"loss": 1.0})
        run.set_tags({"a": "b"})
        if not tracking.enabled:
            run.log_model("models", input_shape=(28, 28, 1), classes=2)
            run.log_artifact("models")
            run.attach("0", {"test_accuracy": 0.5})
            run.propose([], source="doodles", data_digest="0", drawings=1)

track(enabled=False)
assert list(Path().iterdir()) == []
track(uri="http://127.0.0.1:9/", system_metrics=True)
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(sys.stderr):
    main(["--help"])
print(sorted(m for m in ("mlflow", "tensorflow", "pandas", "psutil") if m in sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, PARAMS], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout == "[]\n", done.stderr
    assert done.stderr.count("; it is kept in mlruns/pending") == 1
