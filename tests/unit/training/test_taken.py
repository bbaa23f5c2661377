"""How long trainings took: kept beside the outputs, lost without harm."""

from __future__ import annotations

from pathlib import Path

import pytest

from quickspine.training import timings


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_was_kept_is_known() -> None:
    timings.keep("a" * 64, 12.34567)
    timings.keep("b" * 64, 1.0)
    assert timings.taken("a" * 64) == 12.346
    assert timings.taken("b" * 64) == 1
    assert timings.taken("c" * 64) is None


def test_a_training_that_ran_again_tells_the_new_time() -> None:
    timings.keep("a" * 64, 12.0)
    timings.keep("a" * 64, 9.0)
    assert timings.taken("a" * 64) == 9


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"seconds": "1"}', '{"seconds": NaN}', '{"seconds": -1.0}',
     '{"seconds": true}'],
)  # fmt: skip
def test_a_damaged_note_is_no_note(content: str) -> None:
    timings.FOLDER.mkdir(parents=True)
    (timings.FOLDER / f"{'a' * 64}.json").write_text(content)
    assert timings.taken("a" * 64) is None
