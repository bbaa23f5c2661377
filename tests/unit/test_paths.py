"""Paths in params.yaml mean the same in every stage, and in DVC's temporary copies."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from quickspine import inputs
from quickspine.errors import InputError
from quickspine.nets import pretrained
from quickspine.params.paths import resolve_path
from quickspine.sources import mirror
from quickspine.sources.folder.tree import read_tree
from tests.conftest import MakeParams


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project below another one, whose DVC_ROOT is set; the current folder."""
    root = tmp_path / "outer" / "project"
    root.mkdir(parents=True)
    (tmp_path / "outer" / ".dvc").mkdir()
    (root / "dvc.yaml").touch()
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "outer"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(root)
    return root


def copy_for_experiment(root: Path) -> Path:
    copy = root / ".dvc/tmp/exps/tmpabc"
    copy.mkdir(parents=True)
    (copy / "dvc.yaml").touch()
    return copy


@pytest.mark.parametrize(
    ("text", "path"), [("~/a b", "{home}/a b"), ("a/../b", "{root}/a/../b"), ("/x", "/x")]
)
def test_tilde_and_relative_paths_start_in_the_same_place_everywhere(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, path: str
) -> None:
    expected = Path(path.format(home=tmp_path / "home", root=project))
    assert resolve_path(text) == expected
    monkeypatch.chdir(copy_for_experiment(project))
    assert resolve_path(text) == expected


@pytest.mark.parametrize("place", ["given/{}", "~/given/{}"])
def test_mirror_weights_and_links_are_found_from_a_copy(
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_params: MakeParams,
    place: str,
) -> None:
    base = tmp_path / "home" if place.startswith("~") else project
    (base / "given").mkdir(parents=True)
    (base / "given" / "cat.npy").touch()
    (base / "given" / "weights.h5").touch()
    folder, weights = place.format(""), place.format("weights.h5")
    monkeypatch.chdir(copy_for_experiment(project))
    assert mirror.parse(folder).path("cat") == base / "given" / "cat.npy"  # type: ignore[union-attr]
    pretrained.check("MobileNetV2", weights, 64)
    with pytest.raises(InputError, match=r"finetune\.weights: no such file"):
        pretrained.check("MobileNetV2", f"x{weights}", 64)
    for name in ("a", "b"):
        (base / "given" / name).mkdir()
        (base / "given" / name / "1.png").touch()
    assert read_tree(folder).root == base / "given"
    params = make_params({"data.source": "folder", "data.folder": folder})
    inputs.link_data(params)
    assert Path("inputs/data").resolve() == base / "given"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"data.source": "folder", "data.folder": "mising"},
            r"data\.folder: no such folder.*mising",
        ),
        ({"data.source": "quickdraw", "data.mirror": "/lost"}, r"data\.mirror: no such folder"),
        ({"finetune.weights": "ImageNet"}, r"finetune\.weights: no such file.*imagenet and none"),
        ({"data.source": "folder", "data.folder": "pipe"}, r"remove or rename '.*fifo' \(neither"),
        ({"data.source": "folder", "data.folder": "link"}, r"'.*l\.png' \(a broken link\)"),
        ({"data.source": "folder", "data.folder": "loop"}, r"'.*l\.png' cannot be read \(Too many"),
        ({"data.source": "folder", "data.folder": "latin"}, r"caf.*\(its name is not UTF-8"),
    ],
)
def test_what_dvc_could_not_hash_is_refused_by_key(
    project: Path, make_params: MakeParams, changes: dict[str, str], words: str
) -> None:
    for name in ("pipe/class", "link", "latin", "loop"):
        (project / name).mkdir(parents=True)
    os.mkfifo(project / "pipe" / "class" / "fifo")
    (project / "loop" / "l.png").symlink_to("l.png")
    (project / "link" / "l.png").symlink_to("nothing")
    Path(os.fsdecode(os.fsencode(project / "latin") + b"/caf\xe9.png")).touch()
    (project / "inputs" / "none").mkdir(parents=True)
    side = 32 if changes.get("data.source") == "folder" else None
    params = make_params({"data.image_size": side, **changes})
    (project / "dvc.yaml").write_text("stages: {fetch: {}}")
    with pytest.raises(InputError, match=words):
        inputs.check(params)
    inputs.link_data(params)
    inputs.link_weights(params)
    assert all(link.exists() for link in (project / "inputs").glob("*"))
    (project / "dvc.yaml").write_text("stages: {fetch: {frozen: true}}")
    if "weights" not in words:
        inputs.check(params)
