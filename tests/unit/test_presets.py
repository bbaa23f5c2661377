from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
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
from quickspine.yaml_edit import Key, flat
from quickspine.yaml_file import read

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "params.yaml").read_text(encoding="utf-8")
NAMES = sorted(path.stem for path in (ROOT / "presets").glob("*.yaml"))
LOCAL = {"data.mirror", "tracking.enabled", "tracking.experiment", "tracking.uri"}
LOCAL |= {"tracking.system_metrics"}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with params.yaml and presets/."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(ROOT / "presets", tmp_path / "presets")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def values(place: Path) -> dict[str, Any]:
    return {".".join(key): value for key, value in flat(read(place)).items()}


def apply(name: str) -> list[presets.Change]:
    return presets.apply(name, Path("params.yaml"))


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = 0
    try:
        presets.main(arguments)
    except SystemExit as end:
        code = int(str(end.code))
    return code, *capsys.readouterr()


def owners(text: str) -> list[Key]:
    """Of each line the key whose value it shows; () of comments between and of empty lines."""
    found: list[Key] = []
    path: Key = ()
    for line in text.splitlines():
        named = re.match(r"( *)(\w+):", line)
        if named:
            path = (*path[: len(named[1]) // 2], named[2])
        found.append(path if line.strip() and not line.lstrip().startswith("#") else ())
    return found


def without(text: str, keys: set[Key]) -> list[str]:
    lines = zip(text.splitlines(), owners(text), strict=True)
    return [line for line, owner in lines if owner not in keys]


# The presets themselves


def test_there_are_those_that_the_readme_names() -> None:
    ours = {"quick", "default", "quickdraw24", "quickdraw345", "paper-vgg5"}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in readme for name in ours)
    table = (ROOT / "docs/paper.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in table for name in set(NAMES) - ours)
    assert ours <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_each_says_first_what_it_costs_and_reaches(name: str) -> None:
    header = (ROOT / "presets" / f"{name}.yaml").read_text(encoding="utf-8").partition("\n\n")[0]
    lines = header.splitlines()
    assert all(line.startswith("#") and len(line) <= 100 for line in lines)
    assert lines[0][-1] == "."
    for word in ("Costs: ", "Reaches: "):
        assert f"\n# {word}" in header
    assert re.search(r"\d.*(minute|s |night|hour|days)", header)


@pytest.mark.parametrize("name", NAMES)
def test_each_makes_valid_params_and_loses_no_comment(project: Path, name: str) -> None:
    changes = apply(name)
    text = Path("params.yaml").read_text(encoding="utf-8")
    load("params.yaml")
    assert re.findall("#.*", text) == re.findall("#.*", TEXT)
    changed = {change.key for change in changes}
    assert without(text, changed) == without(TEXT, changed)
    assert values(project / "params.yaml") == {
        **values(ROOT / "params.yaml"),
        **values(ROOT / "presets" / f"{name}.yaml"),
    }
    assert bool(changes) == (name != "default")


@pytest.mark.parametrize("name", NAMES)
def test_default_brings_the_file_back_to_the_byte(project: Path, name: str) -> None:
    apply(name)
    apply("default")
    assert Path("params.yaml").read_text(encoding="utf-8") == TEXT


def test_default_names_all_but_what_is_local() -> None:
    everything = values(ROOT / "params.yaml")
    default = values(ROOT / "presets/default.yaml")
    assert default == {key: value for key, value in everything.items() if key not in LOCAL}
    for name in NAMES:
        assert not LOCAL & set(values(ROOT / "presets" / f"{name}.yaml"))


def test_a_preset_after_another_owes_nothing_to_it_and_local_keys_stay(project: Path) -> None:
    local = {
        "data.mirror": "/a/mirror  # of mine",
        "tracking.enabled": False,
        "tracking.experiment": "mine",
        "tracking.uri": "http://127.0.0.1:5000",
        "tracking.system_metrics": False,
    }
    text = TEXT
    for key, value in local.items():
        section, _, name = key.partition(".")
        line = rf"(?ms)^({section}:(?:(?!^\S).)*?^  {name}: )\S+"
        text = re.sub(line, rf"\g<1>{json.dumps(value)}", text)
    Path("params.yaml").write_text(text, encoding="utf-8")
    assert {key: values(project / "params.yaml")[key] for key in local} == local
    apply("quick")
    apply("quickdraw24")
    alone = values(ROOT / "params.yaml") | values(ROOT / "presets/quickdraw24.yaml")
    assert values(project / "params.yaml") == {**alone, **local}
    apply("default")
    assert Path("params.yaml").read_text(encoding="utf-8") == text


def test_the_categories_are_those_that_are_promised() -> None:
    assert tuple(values(ROOT / "presets/quickdraw345.yaml")["data.categories"]) == quickdraw()
    names = values(ROOT / "presets/quickdraw24.yaml")["data.categories"]
    assert len(names) == 24
    page = " ".join((ROOT / "docs/quickdraw24.md").read_text(encoding="utf-8").split())
    assert ", ".join(names) in page
    assert values(ROOT / "presets/paper-vgg5.yaml")["data.categories"] == names


# Merging


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
        ("zzz: 1\n", r"'zzz': not in params\.yaml; take it out, or add it there"),
        ("train: 1\n", r"'train': not in params\.yaml"),
        ("train:\n", r"'train': not in params\.yaml"),
        ("seeds:\n  a: 1\n", r"'seeds\.a': not in params\.yaml; did you mean seeds\?"),
        ("train:\n  epochs: 0\n", r"params\.yaml with presets/bad\.yaml: 1 wrong\n.*train\.epochs"),
        ("split:\n  test: 0.2\n", r"split: train, validation and test sum to 1\.1"),
        ("seeds: [1, 1]\n", r"seeds: holds 1 more than once"),
        ("data:\n  categories: [cat, kat]\n", r"did you mean 'hat', 'cat', 'bat'\?"),
        ("seeds: &x [1]\n", r"presets/bad\.yaml: not readable as YAML .*an anchor or alias"),
        ("seeds: [1\n", r"presets/bad\.yaml: not readable as YAML"),
        ("", r"presets/bad\.yaml: holds nothing"),
        ("seeds: [1]\nseeds: [2]\n", r"presets/bad\.yaml: .*duplicate key"),
        ("train:\n  width: .nan\n", r"train\.width: input should be a finite number"),
    ],
)
def test_a_bad_preset_is_named_and_nothing_is_written(
    project: Path, content: str, message: str
) -> None:
    (project / "presets/bad.yaml").write_text(f"# Bad.\n{content}", encoding="utf-8")
    with pytest.raises(InputError, match=message) as caught:
        apply("bad")
    assert ".partial-" not in str(caught.value)
    assert Path("params.yaml").read_text(encoding="utf-8") == TEXT
    assert sorted(path.name for path in project.iterdir()) == ["params.yaml", "presets"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("heads: [dense, spinal] ", "heads:\n- linear\n- spinal\n"),  # as dvc exp run -S leaves it
        ("seeds: [1, 2, 3]  ", "seeds:   # mine\n  - 1\n  - 2\n"),
        ("epochs: 5  ", "epochs: !!int '5'  "),
        ("  width: 0.25  ", "  width:  "),
    ],
)
def test_other_layouts(project: Path, old: str, new: str) -> None:
    assert TEXT.count(old) == 1
    Path("params.yaml").write_text(TEXT.replace(old, new), encoding="utf-8")
    if "!!" in new:
        with pytest.raises(InputError, match="a tag"):
            apply("paper-vgg5")
        return
    apply("paper-vgg5")
    expected = values(ROOT / "params.yaml") | values(ROOT / "presets/paper-vgg5.yaml")
    assert values(project / "params.yaml") == expected


def test_the_layout_that_dvc_leaves(project: Path) -> None:
    place = Path("params.yaml")
    # As `dvc exp run -S` does it: lists a line an entry, null left away.
    with modify_yaml(place) as content:
        content["train"]["learning_rate"] = 0.001
        content["train"]["early_stopping"] = None
        for section, name in (
            (content, "heads"),
            (content, "seeds"),
            (content["data"], "categories"),
        ):
            section[name] = list(section[name])
    assert "seeds:  " in place.read_text(encoding="utf-8")
    comments = re.findall("#.*", place.read_text(encoding="utf-8"))
    apply("quick")
    text = place.read_text(encoding="utf-8")
    assert re.findall("#.*", text) == comments
    expected = values(ROOT / "params.yaml") | values(ROOT / "presets/quick.yaml")
    assert values(place) == expected
    apply("default")
    assert values(place) == values(ROOT / "params.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEXT.replace("seeds: [1, 2, 3] ", "seeds: |\n  one\n"), r"seeds: written over several"),
        (TEXT.replace("seeds: [1, 2, 3] ", "seeds:\n  - 1 # a\n  - 2\n"), r"seeds: comments stand"),
        (json.dumps(read(ROOT / "params.yaml")), r"params\.yaml with presets/odd\.yaml"),
    ],
)
def test_a_value_that_cannot_be_exchanged_in_place_is_named(
    project: Path, text: str, message: str
) -> None:
    # In a file that is one pair of braces, a comma ends a plain word.
    odd = "seeds: [7]\ndata:\n  mirror: a, b\n"
    Path("presets/odd.yaml").write_text(odd, encoding="utf-8")
    Path("params.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"^params\.yaml") as caught:
        apply("odd")
    assert re.search(message, str(caught.value))
    assert Path("params.yaml").read_text(encoding="utf-8") == text


words = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"]),
    min_size=1,
    max_size=60,
)
OVERRIDES = {
    "seeds": st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=30, unique=True),
    "heads": st.permutations(["dense", "spinal", "linear"]),
    "data.categories": st.lists(st.sampled_from(DOODLES), min_size=2, unique=True),
    "data.drawings_per_category": st.integers(1, 10**9),
    "data.allow_fewer": st.booleans(),
    "data.mirror": words,
    "train.width": st.floats(1e-9, 16),
    "train.learning_rate": st.floats(1e-300, 10),
    "train.early_stopping": st.none() | st.integers(1, 100_000),
    "train.augment.shift": st.floats(0, 0.5),
    "finetune.dense_width": st.none()
    | st.integers(1, 65_536)
    | st.lists(st.integers(1, 65_536), min_size=1, max_size=8),
    "finetune.weights": words,
    "evaluate.confidence": st.floats(0.5, 0.999),
    "tracking.enabled": st.booleans(),
    "tracking.experiment": words,
}


@settings(max_examples=25)
@given(overrides=st.fixed_dictionaries({}, optional=OVERRIDES))
def test_any_valid_values_change_their_own_lines_only(overrides: dict[str, Any]) -> None:
    nested: dict[str, Any] = {}
    for name, value in overrides.items():
        *sections, last = name.split(".")
        section = nested
        for part in sections:
            section = section.setdefault(part, {})
        section[last] = value
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "params.yaml")
        place.write_text(TEXT, encoding="utf-8")
        shutil.copytree(ROOT / "presets", Path(folder, "presets"))
        text = json.dumps(nested or {"seeds": [1, 2, 3]}, ensure_ascii=False)
        Path(folder, "presets/mine.yaml").write_text(text, encoding="utf-8")
        before = values(place)
        changes = presets.apply("mine", place, Path(folder, "presets"))
        changed = {change.key for change in changes}
        assert {".".join(key) for key in changed} == {
            name for name, value in overrides.items() if value != before[name]
        }
        result = place.read_text(encoding="utf-8")
        assert values(place) == before | overrides
        assert without(result, changed) == without(TEXT, changed)
        for line, owner in zip(TEXT.splitlines(), owners(TEXT), strict=True):
            if owner in changed:
                assert re.sub(r"^[^#]*", "", line) in result
        # What a preset changed that default.yaml names goes back.
        presets.apply("default", place, Path(folder, "presets"))
        kept = {name: value for name, value in overrides.items() if name in LOCAL}
        assert values(place) == before | kept


# The command


def test_it_says_what_changed_and_what_to_run(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, "quick")
    assert (code, err) == (0, "")
    first, *changes, last, then = out.splitlines()
    assert first.startswith("presets/quick.yaml: Smoke test")
    assert "  seeds: [1, 2, 3] → [1]" in changes
    assert any(
        line.startswith("  data.categories: ['apple', 'bicycle', … 'zigzag'] (24) → ")
        for line in changes
    )
    assert last == f"params.yaml: {len(changes)} changed, the rest stays as it is"
    assert "make plan" in then
    code, out, err = run(capsys, "quick")
    assert (code, err) == (0, "")
    assert out == "params.yaml: holds the values of presets/quick.yaml already; nothing changed\n"


def test_an_unknown_name_lists_them_and_names_the_closest(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("quik", "../params", "quick.yaml"):
        code, out, err = run(capsys, name)
        assert (code, out) == (2, "")
        assert f"{name!r}: no such preset" in err
        for known in NAMES:
            header = (ROOT / "presets" / f"{known}.yaml").read_text(encoding="utf-8")
            assert header.splitlines()[0].lstrip("# ") in err
    assert "did you mean quick or" in run(capsys, "quik")[2]
    assert Path("params.yaml").read_text(encoding="utf-8") == TEXT


@pytest.mark.parametrize("arguments", [(), ("--list",)])
def test_without_a_name_it_lists_them(
    project: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    code, out, err = run(capsys, *arguments)
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()] == NAMES


def test_outside_of_a_project_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, "quick")
    assert code == 2
    assert "presets: no preset there; run this from the project's root" in err


def test_tensorflow_and_mlflow_stay_out() -> None:
    program = "import sys; from quickspine import presets; presets.main(['--list'])\n"
    program += "assert not {'tensorflow', 'mlflow', 'keras'} & set(sys.modules)"
    command = (sys.executable, "-c", program)
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
