from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quickspine.errors import InputError
from quickspine.evaluation import predictions, show, summary
from quickspine.files import write_json
from quickspine.params import Evaluate
from tests.unit.evaluation.made import summary as of


@pytest.fixture
def evaluation(
    make: Any, evaluate: Evaluate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """The current folder holds an evaluation with these metrics."""
    monkeypatch.chdir(tmp_path)
    case = make()
    metrics = of(case, evaluate)
    write_json(Path("evaluation/metrics.json"), metrics)
    Path("evaluation/report.html").write_text("<!doctype html>", encoding="utf-8")
    models = {run.name: sha256_of(run.name) for run in case.runs}
    predictions.write(Path("evaluation"), case.runs, case.labels, sha256_of("data"), models)
    return metrics


def sha256_of(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def refused(capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stopped:
        show.main([])
    assert stopped.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def test_the_result_and_the_place_of_the_report(
    evaluation: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    show.main([])
    expected = f"{summary.describe(evaluation)}\nreport: {Path('evaluation/report.html')}\n"
    assert capsys.readouterr() == (expected, "")


@pytest.mark.parametrize(
    ("file", "key", "made_of", "message"),
    [
        ("data/records/manifest.json", "digest", "data", "predictions on other data"),
        ("models/train-dense-1/metrics.json", "model_digest", "train-dense-1",
         "predictions of another train-dense-1"),
    ],
)  # fmt: skip
def test_a_result_of_other_data_or_models_is_not_shown(
    evaluation: dict[str, Any],
    file: str,
    key: str,
    made_of: str,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_json(Path(file), {key: sha256_of(made_of)})
    show.main([])
    assert capsys.readouterr().out.startswith(summary.describe(evaluation))
    write_json(Path(file), {key: sha256_of("other")})
    said = refused(capsys)
    assert said.startswith(f"report: {Path('evaluation/predictions.npz')}: {message} (")
    assert sha256_of("other")[:12] in said
    assert said.endswith("run: make repro\n")


@pytest.mark.parametrize("name", ["metrics.json", "report.html", "predictions.npz"])
def test_what_is_missing_is_named(
    evaluation: dict[str, Any], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("evaluation", name).unlink()
    assert refused(capsys) == f"report: {Path('evaluation', name)}: missing; run: make repro\n"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"data": 1}', '{"data": {"synthetic": 1}}'])
def test_damaged_metrics_are_named(
    evaluation: dict[str, Any], content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("evaluation/metrics.json").write_text(content, encoding="utf-8")
    message = refused(capsys)
    assert message.startswith(f"report: {Path('evaluation/metrics.json')}: ")
    assert "dvc repro -f evaluate" in message


@pytest.mark.parametrize("module", ["show", "trained"])
def test_it_needs_neither_tensorflow_nor_mlflow(module: str) -> None:
    """The last result is shown, and models are checked, before anything slow is imported."""
    program = (
        f"import sys, quickspine.evaluation.{module}\n"
        "print([name for name in ('tensorflow', 'keras', 'mlflow') if name in sys.modules])\n"
    )
    command = [sys.executable, "-c", program]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_predictions_hold_the_logits_and_their_digests(make: Any, tmp_path: Path) -> None:
    case = make()
    models = {run.name: sha256_of(run.name) for run in case.runs}
    predictions.write(tmp_path, case.runs, case.labels, "d" * 64, models)
    path = tmp_path / "predictions.npz"
    first = path.read_bytes()
    with np.load(path, allow_pickle=False) as arrays:
        for run in case.runs:
            np.testing.assert_array_equal(arrays[f"logits_{run.name}"], run.logits)
        np.testing.assert_array_equal(arrays["labels"], case.labels)
        assert list(arrays["names"]) == ["data", *models]
        assert list(arrays["digests"]) == ["d" * 64, *models.values()]
    predictions.write(tmp_path, case.runs, case.labels, "d" * 64, models)
    assert path.read_bytes() == first


@pytest.mark.parametrize(
    "arrays",
    [
        {"names": np.array(["data"])},
        {"names": np.array(["data", "train-dense-1"]), "digests": np.array(["d"])},
        {"names": np.array([1, 2]), "digests": np.array(["d", "e"])},
        {"names": np.array(["train-dense-1"]), "digests": np.array(["e"])},
        {"names": np.array(["data", "../../etc/train"]), "digests": np.array(["d", "e"])},
        {"names": np.array(["data", None]), "digests": np.array(["d", "e"])},
        {},
    ],
)
def test_damaged_predictions_are_named(arrays: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "predictions.npz"
    if arrays:
        np.savez(path, **arrays)
    else:
        path.write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(InputError, match=r"predictions\.npz: damaged .*dvc repro -f evaluate"):
        predictions.check(tmp_path, tmp_path / "records", tmp_path / "models")
