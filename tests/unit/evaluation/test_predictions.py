"""The answers as a file: what comes back, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quickspine.errors import InputError
from quickspine.evaluation import predictions


@pytest.fixture
def written(make: Any, tmp_path: Path) -> tuple[Path, Any]:
    case = make()
    models = {run.name: f"{number:064x}" for number, run in enumerate(case.runs)}
    predictions.write(tmp_path, case.runs, case.labels, "d" * 64, models)
    return tmp_path, case


def test_it_holds_every_answer_and_whose_it_is(written: tuple[Path, Any]) -> None:
    folder, case = written
    with np.load(folder / "predictions.npz", allow_pickle=False) as arrays:
        for run in case.runs:
            np.testing.assert_array_equal(arrays[f"logits_{run.name}"], run.logits)
        np.testing.assert_array_equal(arrays["labels"], case.labels)
        assert list(arrays["names"]) == ["data", *(run.name for run in case.runs)]
        assert list(arrays["digests"])[:2] == ["d" * 64, "0" * 64]


def test_equal_answers_are_equal_files(written: tuple[Path, Any], tmp_path: Path) -> None:
    folder, case = written
    first = (folder / "predictions.npz").read_bytes()
    models = {run.name: f"{number:064x}" for number, run in enumerate(case.runs)}
    predictions.write(folder, case.runs, case.labels, "d" * 64, models)
    assert (folder / "predictions.npz").read_bytes() == first


@pytest.mark.parametrize(
    "arrays",
    [
        {"names": np.array(["data"])},
        {"names": np.array(["data", "train-dense-1"]), "digests": np.array(["d"])},
        {"names": np.array([1, 2]), "digests": np.array(["d", "e"])},
        {"names": np.array(["train-dense-1"]), "digests": np.array(["e"])},
        {"names": np.array(["data", "../../etc/train"]), "digests": np.array(["d", "e"])},
        {"names": np.array(["data", None]), "digests": np.array(["d", "e"])},
    ],
)
def test_a_file_of_something_else_is_damaged(arrays: dict[str, Any], tmp_path: Path) -> None:
    np.savez(tmp_path / "predictions.npz", **arrays)
    with pytest.raises(InputError, match=r"predictions\.npz: damaged .*dvc repro -f evaluate"):
        predictions.check(tmp_path, tmp_path / "records", tmp_path / "models")


@pytest.mark.parametrize("keep", [0, 10, 500])
def test_a_cut_file_is_damaged(written: tuple[Path, Any], keep: int) -> None:
    path = written[0] / "predictions.npz"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match="damaged"):
        predictions.check(written[0], written[0] / "records", written[0] / "models")
