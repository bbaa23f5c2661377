"""How long trainings took: kept beside the outputs, lost without harm."""

from __future__ import annotations

from pathlib import Path

import pytest

from quickspine.training import taken


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_was_kept_is_known() -> None:
    taken.keep("a" * 64, 12.34567)
    taken.keep("b" * 64, 1.0)
    assert taken.taken("a" * 64) == 12.346
    assert taken.taken("b" * 64) == 1
    assert taken.taken("c" * 64) is None


def test_a_training_that_ran_again_tells_the_new_time() -> None:
    taken.keep("a" * 64, 12.0)
    taken.keep("a" * 64, 9.0)
    assert taken.taken("a" * 64) == 9


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"seconds": "1"}', '{"seconds": NaN}', '{"seconds": -1.0}',
     '{"seconds": true}'],
)  # fmt: skip
def test_a_damaged_note_is_no_note(content: str) -> None:
    taken.FOLDER.mkdir(parents=True)
    (taken.FOLDER / f"{'a' * 64}.json").write_text(content)
    assert taken.taken("a" * 64) is None
