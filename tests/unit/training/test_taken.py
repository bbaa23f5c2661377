"""How long trainings took: kept beside the outputs, lost without harm."""

from __future__ import annotations

from pathlib import Path

import pytest

from quickspine.training import timings


@pytest.fixture(autouse=True)
def _in_a_place_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_last_training_of_a_model_is_known() -> None:
    timings.keep("a" * 64, 12.0)
    timings.keep("a" * 64, 9.34567)
    assert timings.taken("a" * 64) == 9.346
    assert timings.taken("c" * 64) is None


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"seconds": "1"}', '{"seconds": NaN}', '{"seconds": -1.0}',
     '{"seconds": true}'],
)  # fmt: skip
def test_a_damaged_note_is_no_note(content: str) -> None:
    timings.FOLDER.mkdir(parents=True)
    (timings.FOLDER / f"{'a' * 64}.json").write_text(content)
    assert timings.taken("a" * 64) is None
