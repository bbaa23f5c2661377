"""The regression example: every head learns, the data are as documented, the files are written."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from examples import regression, regression_report
from examples.regression import FUNCTIONS, HEADS, Budget

pytestmark = pytest.mark.slow
TINY = Budget(seeds=2, train=256, validation=64, test=256, epochs=20, rates=(0.01,))


def test_every_head_learns_and_what_was_found_is_written(tmp_path: Path) -> None:
    results = regression.run(TINY, ("sum",))
    assert results["parameters"] == {
        "spinal": 14_301,
        "dense": 22_001,
        "deep": 13_251,
        "matched": 14_301,
    }
    for head, errors in results["errors"]["sum"].items():
        assert len(errors) == TINY.seeds
        assert max(errors) < 0.1, head  # a constant has 1
    (tmp_path / "regression.md").write_text("# Mine\n\n## Measured\n\nbefore\n")
    page, image = tmp_path / "regression.md", tmp_path / "images" / "regression.svg"
    assert regression_report.write(results, tmp_path) == [
        tmp_path / "regression.json", image, page
    ]  # fmt: skip
    assert json.loads((tmp_path / "regression.json").read_text()) == json.loads(json.dumps(results))
    text = page.read_text()
    assert text.startswith("# Mine\n\n## Measured\n\n!")
    assert "before" not in text
    assert text.count("\n| sum | ") == 1 + len(HEADS) - 1
    assert "against matched" in image.read_text()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_targets_are_a_column_of_the_function_and_noise(function: str) -> None:
    data, other = (regression.draw(function, seed, TINY) for seed in (1, 2))
    known: dict[str, Callable[[list[float]], float]] = {
        "sum": math.fsum,
        "sine of the sum": lambda x: math.sin(math.fsum(x)),
        "product": lambda x: math.prod(x),
        "sine of the product": lambda x: math.sin(math.prod(x)),
    }
    for name, split in data.items():
        count = getattr(TINY, name)
        assert (split.inputs.shape, split.targets.shape) == ((count, 8), (count, 1))
        exact = np.array([known[function](row) for row in split.inputs.astype(float).tolist()])
        noise = split.targets[:, 0] - exact
        low, high = (0.1, 0.1) if name == "test" else (0, 0.2)
        assert low - 1e-4 <= noise.min() <= noise.max() <= high + 1e-4
        assert (split.inputs != other[name].inputs).any()
    assert (data["train"].inputs[:64] != data["validation"].inputs).any()


def test_a_comparison_is_of_logarithms_seed_by_seed() -> None:
    errors = {"sum": {"spinal": [0.1, 0.2, 0.4], "dense": [0.2, 0.4, 0.8], "deep": [0.1, 0.3, 0.3]}}
    errors["sum"]["dense"][0] *= 1.001  # an interval of some width
    half, other = regression_report.compared(errors)
    assert half["ratio"] == pytest.approx(0.5, rel=1e-3)
    assert half["ratios"] == pytest.approx([0.5 / 1.001, 0.5, 0.5])
    assert half["ci95"][0] < half["ratio"] < half["ci95"][1] < 0.51
    assert (half["verdict"], other["verdict"]) == ("spinal better", "open")
    assert half["p_holm"] == pytest.approx(2 * half["p_value"])
    swapped = {"sum": {"spinal": errors["sum"]["dense"], "dense": errors["sum"]["spinal"]}}
    assert regression_report.compared(swapped)[0]["verdict"] == "dense better"


def test_a_head_that_is_given_flat_targets_is_stopped() -> None:
    trainer = regression.Trainer("matched", TINY)
    split = regression.draw("sum", 1, TINY)["test"]
    with pytest.raises(ValueError, match="incompatible"):
        trainer.measure(regression.Split(split.inputs, np.ravel(split.targets)))


def test_one_seed_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert regression.main(["--seeds", "1"]) == 2
    assert capsys.readouterr().err.startswith("regression: --seeds 1 --epochs 100: an interval")
