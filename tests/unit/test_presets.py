"""Presets: what they hold, and that merging one changes values and nothing else."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from dvc.utils.serialize import modify_yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from quickspine import presets
from quickspine.categories import DOODLES, quickdraw
from quickspine.errors import InputError
from quickspine.params import load
from quickspine.yaml_file import flatten, read

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "params.yaml").read_text(encoding="utf-8")
NAMES = sorted(path.stem for path in (ROOT / "presets").glob("*.yaml"))
FEW = ("default", "quick", "quickdraw345", "mnist5k-cnn", "paper-cifar10-cnn", "paper-imagenet")
LOCAL = {"data.mirror", "tracking.enabled", "tracking.experiment", "tracking.uri"}
LOCAL |= {"tracking.system_metrics"}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with params.yaml and presets/."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(ROOT / "presets", tmp_path / "presets")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def values(path: Path | str) -> dict[str, Any]:
    return {".".join(key): value for key, value in flatten(read(Path(path))).items()}


def apply(name: str) -> list[presets.Change]:
    return presets.apply(name, Path("params.yaml"))


def text() -> str:
    return Path("params.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "name", [name if name in FEW else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]
)
def test_each_keeps_all_comments_and_default_brings_back_every_byte(
    project: Path, name: str
) -> None:
    changes = apply(name)
    load("params.yaml")
    expected = values(ROOT / "params.yaml") | values(ROOT / "presets" / f"{name}.yaml")
    assert values("params.yaml") == expected
    assert re.findall("#.*", text()) == re.findall("#.*", TEXT)
    assert bool(changes) == (name != "default")
    apply("default")
    assert text() == TEXT


def test_a_preset_changes_the_lines_of_its_own_keys_only(project: Path) -> None:
    categories = re.compile(r"  categories: \[.*?\]\n", re.DOTALL)  # over several lines
    changed = {change.key[-1] for change in apply("quick")}
    before, after = (categories.sub("", each).splitlines() for each in (TEXT, text()))
    lines = {line.split(":")[0].strip() for line in set(before) ^ set(after)}
    assert lines == changed - {"categories"}


def test_default_names_all_but_what_is_local() -> None:
    default = values(ROOT / "presets/default.yaml")
    everything = values(ROOT / "params.yaml")
    assert default == {key: value for key, value in everything.items() if key not in LOCAL}
    for name in NAMES:
        assert not LOCAL & set(values(ROOT / "presets" / f"{name}.yaml"))


def test_a_preset_after_another_owes_nothing_to_it_and_local_keys_stay(project: Path) -> None:
    own = TEXT.replace("experiment: quickspine ", "experiment: 'my own' ")
    Path("params.yaml").write_text(own.replace("uri: null ", "uri: http://me.example "))
    local = {key: value for key, value in values("params.yaml").items() if key in LOCAL}
    apply("quick")
    apply("quickdraw24")
    alone = values(ROOT / "params.yaml") | values(ROOT / "presets/quickdraw24.yaml")
    assert values("params.yaml") == alone | local
    assert "experiment: 'my own' " in text()


def test_the_categories_are_those_that_are_promised() -> None:
    assert tuple(values(ROOT / "presets/quickdraw345.yaml")["data.categories"]) == quickdraw()
    names = values(ROOT / "presets/quickdraw24.yaml")["data.categories"]
    assert len(names) == 24
    assert values(ROOT / "presets/paper-vgg5.yaml")["data.categories"] == names


def test_nothing_to_change_writes_nothing(project: Path) -> None:
    apply("quick")
    before = (project / "params.yaml").stat()
    assert apply("quick") == []
    after = (project / "params.yaml").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_what_is_behind_a_link_is_replaced_and_its_mode_stays(project: Path) -> None:
    (project / "params.yaml").rename(project / "elsewhere.yaml")
    (project / "elsewhere.yaml").chmod(0o640)
    (project / "params.yaml").symlink_to("elsewhere.yaml")
    apply("quick")
    assert (project / "params.yaml").is_symlink()
    assert (project / "elsewhere.yaml").stat().st_mode & 0o777 == 0o640
    assert load("params.yaml").seeds == (1,)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("trian:\n  epochs: 1\n", r"presets/bad\.yaml: 'trian\.epochs': not in params\.yaml; "),
        ("train:\n  epoch: 1\n", r"'train\.epoch': not in .* did you mean train\.epochs\?"),
        ("train: 1\n", r"'train': not in params\.yaml"),
        ("train:\n  epochs: 0\n", r"params\.yaml with presets/bad\.yaml: 1 wrong\n.*train\.epochs"),
        ("split:\n  test: 0.2\n", r"split: train, validation and test sum to 1\.1"),
        ("seeds: &x [1]\n", r"presets/bad\.yaml: not readable as YAML .*an anchor or alias"),
        ("", r"presets/bad\.yaml: holds nothing"),
    ],
)
def test_a_bad_preset_is_named_and_nothing_is_written(
    project: Path, content: str, message: str
) -> None:
    (project / "presets/bad.yaml").write_text(f"# Bad.\n{content}", encoding="utf-8")
    with pytest.raises(InputError, match=message) as caught:
        apply("bad")
    assert ".partial-" not in str(caught.value)
    assert text() == TEXT
    assert sorted(path.name for path in project.iterdir()) == ["params.yaml", "presets"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("seeds: [1, 2, 3]  ", "seeds:   # mine\n  - 1  # between\n  - 2\n  # behind\n"),
        ("  width: 0.25  ", "  width:  "),
        ("\n", "\r\n"),
    ],
)
def test_comments_and_line_ends_of_other_layouts_stay(project: Path, old: str, new: str) -> None:
    before = TEXT.replace(old, new)
    Path("params.yaml").write_bytes(before.encode())
    apply("paper-vgg5")
    expected = values(ROOT / "params.yaml") | values(ROOT / "presets/paper-vgg5.yaml")
    assert values("params.yaml") == expected
    after = Path("params.yaml").read_bytes().decode()
    assert sorted(re.findall("#.*", after)) == sorted(re.findall("#.*", before))
    assert after.count("\r\n") in (0, after.count("\n"))


def test_the_layout_that_dvc_exp_run_leaves(project: Path) -> None:
    with modify_yaml(Path("params.yaml")) as content:
        content["train"]["learning_rate"] = 0.001
        content["train"]["early_stopping"] = None
        content["heads"] = ["dense", "linear"]
        content["data"]["categories"] = list(content["data"]["categories"])
    comments = re.findall("#.*", text())
    apply("quick")
    assert re.findall("#.*", text()) == comments
    apply("default")
    assert values("params.yaml") == values(ROOT / "params.yaml")


words = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "Zs"]), min_size=1)
OVERRIDES = {
    "seeds": st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=30, unique=True),
    "data.categories": st.lists(st.sampled_from(DOODLES), min_size=2, unique=True),
    "train.width": st.floats(1e-9, 16),
    "train.early_stopping": st.none() | st.integers(1, 100_000),
    "finetune.dense_width": st.none() | st.lists(st.integers(1, 9), min_size=1, max_size=8),
    "finetune.weights": words,
    "tracking.enabled": st.booleans(),
    "tracking.experiment": words,
}


@settings(max_examples=8)
@given(overrides=st.fixed_dictionaries({}, optional=OVERRIDES))
def test_any_valid_values_are_merged_and_go_back(
    tmp_path_factory: pytest.TempPathFactory, overrides: dict[str, Any]
) -> None:
    nested: dict[str, Any] = {"records": {"seed": 7}}
    for name, value in overrides.items():
        section, _, last = name.rpartition(".")
        (nested.setdefault(section, {}) if section else nested)[last] = value
    folder = tmp_path_factory.mktemp("merged")
    place = folder / "params.yaml"
    place.write_text(TEXT, encoding="utf-8")
    shutil.copytree(ROOT / "presets", folder / "presets")
    mine = json.dumps(nested, ensure_ascii=False)
    (folder / "presets/mine.yaml").write_text(mine, encoding="utf-8")
    before = values(place)
    presets.apply("mine", place, folder / "presets")
    assert values(place) == before | overrides | {"records.seed": 7}
    result = place.read_text(encoding="utf-8")
    for comment in re.findall("#.*", TEXT):
        assert comment in result
    presets.apply("default", place, folder / "presets")
    kept = {name: value for name, value in overrides.items() if name in LOCAL}
    assert values(place) == before | kept


def run(
    *arguments: str, encoding: str = "utf-8", stdout: int = subprocess.PIPE
) -> subprocess.CompletedProcess[bytes]:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "PYTHONIOENCODING": encoding}
    command = (sys.executable, "-m", "quickspine.presets", *arguments)
    return subprocess.run(
        command, env=environment, stdout=stdout, stderr=subprocess.PIPE, check=False
    )


def test_the_command_prints_what_changed(project: Path) -> None:
    done = run("quick")
    assert (done.returncode, done.stderr) == (0, b"")
    first, *lines = done.stdout.decode().splitlines()
    assert first.startswith("presets/quick.yaml: Smoke test")
    assert "  seeds: [1, 2, 3] → [1]" in lines
    assert any(line.startswith("  data.categories: ['apple', 'bicycle', … ") for line in lines)
    assert "make plan" in lines[-1]
    assert b"nothing changed" in run("quick").stdout


def test_a_console_that_is_not_utf_8_gets_question_marks(project: Path) -> None:
    done = run("quick", encoding="ascii")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"  seeds: [1, 2, 3] ? [1]\n" in done.stdout


def test_readers_may_leave_early(project: Path) -> None:
    """As in `make preset | head -3`."""
    reading, writing = os.pipe()
    os.close(reading)
    done = run(stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_an_unknown_name_lists_the_presets_and_names_the_closest(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("quik", "../params", "quick.yaml"):
        with pytest.raises(SystemExit, match="2"):
            presets.main([name])
        out, err = capsys.readouterr()
        assert out == ""
        assert f"{name!r}: no such preset; did you mean" in err or name == "../params"
        assert [known for known in NAMES if f"\n  {known} " not in err] == []
    presets.main([])
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == NAMES
    os.chdir("presets")
    with pytest.raises(SystemExit, match="2"):
        presets.main(["quick"])
    assert "run this from the project's root" in capsys.readouterr().err
