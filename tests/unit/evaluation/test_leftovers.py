"""Models that are no longer asked for leave `models/`; nothing else does."""

from __future__ import annotations

from pathlib import Path

from quickspine.evaluation.leftovers import set_aside


def test_only_trained_models_that_are_not_asked_for_are_moved(tmp_path: Path) -> None:
    models, aside = tmp_path / "models", tmp_path / "aside"
    for name in ("train-dense-1", "train-dense-2", "finetune-spinal-1", "mine", "train-notes"):
        (models / name).mkdir(parents=True)
        (models / name / "metrics.json").write_text(name)
    (models / "train-dense-9").write_text("a file")
    assert set_aside(models, ["dense"], [1], aside) == ["finetune-spinal-1", "train-dense-2"]
    kept = {path.name for path in models.iterdir()}
    assert kept == {"train-dense-1", "mine", "train-notes", "train-dense-9"}
    assert (aside / "train-dense-2" / "metrics.json").read_text() == "train-dense-2"
    (models / "train-dense-2").mkdir()  # an older one gives way
    assert set_aside(models, ["dense"], [1], aside) == ["train-dense-2"]
    assert list((aside / "train-dense-2").iterdir()) == []
