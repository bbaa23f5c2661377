from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quickspine import categories
from quickspine.bench import quality
from quickspine.bench.sections import Bench, Size
from quickspine.errors import InputError

accuracies = st.lists(st.floats(0, 1), min_size=2, max_size=6)


@given(accuracies, accuracies)
def test_within_the_spread(exact: list[float], fast: list[float]) -> None:
    found = quality.compared(exact, fast)
    reach = max(exact) - min(exact)
    assert found["spread"] == reach
    assert found["within"] == (abs(found["difference"]) <= reach)
    assert found["difference"] == found["fast"]["mean"] - found["float32"]["mean"]


@given(accuracies)
def test_the_same_accuracies_do_not_differ(exact: list[float]) -> None:
    found = quality.compared(exact, exact)
    assert found["difference"] == 0
    assert found["within"] is True


def test_a_clear_loss_is_outside() -> None:
    assert quality.compared([0.90, 0.91, 0.92], [0.87, 0.88, 0.89])["within"] is False


def test_one_seed_has_no_spread() -> None:
    found = quality.compared([0.9], [0.9])
    assert (found["spread"], found["within"], found["fast"]["std"]) == (None, None, None)


@pytest.fixture
def staged(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the stages were asked for; those asked for a folder without drawings refuse."""
    asked: list[dict[str, Any]] = []

    def stage(bench: Bench, change: dict[str, Any]) -> Path:
        asked.append(change)
        if "broken" in change.get("mirror", ""):
            raise InputError("data.mirror: a folder without drawings")
        return bench.folder

    monkeypatch.setattr(quality, "_staged", stage)
    monkeypatch.delenv(quality.MIRROR, raising=False)
    return asked


@pytest.mark.parametrize(
    ("variable", "mirror", "source", "words"),
    [
        ("real", "https://example.org/drawings", "quickdraw", "Google's drawings"),
        (None, "real", "quickdraw", "Google's drawings"),
        (None, "file://real", "quickdraw", "Google's drawings"),
        (None, "https://example.org/drawings", "doodles", "Synthetic drawings (no folder"),
        ("absent", "https://example.org/drawings", "doodles", "Synthetic drawings (no folder"),
        ("empty", "https://example.org/drawings", "doodles", "Synthetic drawings (the folder"),
        ("broken", "https://example.org/drawings", "doodles", "Synthetic drawings (Google's could"),
    ],
)
def test_real_drawings_where_there_are_some(
    variable: str | None,
    mirror: str,
    source: str,
    words: str,
    staged: list[dict[str, Any]],
    make_params: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = {"real": categories.quickdraw()[:30], "empty": ("cat",), "broken": categories.DOODLES}
    for name, names in held.items():
        (tmp_path / name).mkdir()
        for category in names:
            (tmp_path / name / f"{category}.npy").touch()
    if variable:
        monkeypatch.setenv(quality.MIRROR, str(tmp_path / variable))
    mirror = mirror.replace("real", str(tmp_path / "real"))
    params = make_params({"data.mirror": mirror})
    _, told = quality._records(Bench(params, tmp_path, tmp_path, Size()))
    assert staged[-1]["source"] == source
    assert told.startswith(words)
    assert len(staged[-1]["categories"]) == len(categories.DOODLES)
    assert str(tmp_path) not in told  # it may go into the docs


def test_the_verdict_in_words() -> None:
    found = {"auto": "bfloat16", **quality.compared([0.90, 0.92], [0.90, 0.91])}
    assert quality._verdict(found).startswith("The means differ by -0.50 points: within")
    outside = {"auto": "bfloat16", **quality.compared([0.90, 0.91], [0.80, 0.81])}
    assert "OUTSIDE" in quality._verdict(outside)
    assert "no other path" in quality._verdict({**found, "auto": "float32"})
