"""params.yaml: what loads, what is refused, and that everything wrong is named, all at once."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import re
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from ruamel.yaml import YAML

from quickspine.categories import DOODLES, quickdraw
from quickspine.errors import InputError
from quickspine.params import Params, load
from quickspine.params.errors import MAX_SHOWN
from tests.conftest import MakeParams

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "params.yaml").read_text(encoding="utf-8")
VALUES: dict[str, Any] = YAML(typ="safe", pure=True).load(TEXT)
Keys = tuple[str, ...]

# What a params.yaml without these keys means: see test_defaults_of_optional_keys_never_change.
NETWORK_DEFAULTS = {
    "enabled": True,
    "progressive_width": None,
    "optimizer": "adam",
    "momentum": 0.9,
    "step_epochs": 7,
    "step_factor": 0.1,
    "threads": None,
}
DEFAULTS = {
    "data.dataset": None,
    "data.folder": None,
    "data.strokes": "simplified",
    "data.category_names": None,
    "data.title": None,
    "data.test_per_category": None,
    "data.allow_fewer": False,
    "data.image_size": None,
    **{f"train.{key}": value for key, value in NETWORK_DEFAULTS.items()},
    "train.features": "map",
    "train.spinal_input": "halves",
    "train.augment.perspective": 0.0,
    "train.augment.perspective_probability": 1.0,
    "train.augment.resized_crop": 1.0,
    "train.augment.crop": 0,
    "train.augment.flip": False,
    **{f"finetune.{key}": value for key, value in NETWORK_DEFAULTS.items()},
    "finetune.schedule": "cosine",
    "finetune.plateau_patience": 2,
    "finetune.plateau_factor": 0.3,
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "params.yaml"


def paths(values: Any, before: Keys = ()) -> list[Keys]:
    """The way to every key, sections and leaves."""
    if not isinstance(values, dict):
        return [before]
    own = [before] if before else []
    return own + [path for key, value in values.items() for path in paths(value, (*before, key))]


PATHS = paths(VALUES)


def at(values: dict[str, Any], keys: Keys) -> Any:
    for key in keys:
        values = values[key]
    return values


def with_yaml(key: str, value: str) -> str:
    """The project's params, as JSON, with the YAML `value` at a dotted key."""
    *sections, last = key.split(".")
    values = copy.deepcopy(VALUES)
    at(values, tuple(sections))[last] = "(here)"
    return json.dumps(values, ensure_ascii=False).replace('"(here)"', value)


def refused(place: Path, content: str | bytes) -> str:
    """The message about `content`, which must not load; it is harmless on a terminal."""
    place.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as caught:
        load(place)
    message = str(caught.value)
    assert message.startswith(f"{place}: ")
    assert len(message) < 20_000  # whatever the file held
    assert message.replace("\n", "").isprintable()
    return message


def test_defaults_of_optional_keys_never_change(place: Path) -> None:
    """Freeze the defaults.

    A params.yaml that lacks an optional key means the value it meant when the key was introduced;
    DVC sees values, not defaults.
    """
    values = copy.deepcopy(VALUES)
    for key in DEFAULTS:
        *sections, last = key.split(".")
        del at(values, tuple(sections))[last]
    place.write_text(json.dumps(values))
    flat = load(place).flat()
    assert {key: flat[key] for key in DEFAULTS} == DEFAULTS


def test_the_project_s_own_params_load_and_are_frozen(params: Params) -> None:
    assert params.data.source == "doodles"
    assert params.model_dump(mode="json") == VALUES
    with pytest.raises(ValueError, match="frozen"):
        params.train.epochs = 3
    hash(params)  # frozen through and through


def test_flat_and_digest(params: Params, make_params: MakeParams) -> None:
    flat = params.flat()
    assert flat["train.augment.rotation"] == params.train.augment.rotation
    json.dumps(flat)  # for MLflow
    other = make_params({"train.epochs": params.train.epochs + 1})
    assert params.digest() != other.digest()
    assert params.digest("train") != other.digest("train")
    assert params.digest("data", "split") == other.digest("split", "data")
    assert params.digest("data") != params.digest("split")
    assert re.fullmatch("[0-9a-f]{64}", params.digest())


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("train.learning_rate", "1e-3", 0.001),  # YAML 1.2: a number
        ("tracking.experiment", "no", "no"),  # a word
        ("tracking.experiment", "'2020-01-01'", "2020-01-01"),
        ("train.early_stopping", "~", None),
        ("train.dense_width", "[1024, 512]", (1024, 512)),
        ("data.drawings_per_category", "0x10", 16),
        ("tracking.uri", "http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("tracking.uri", "sqlite:///~/runs.db", "sqlite:///~/runs.db"),
        ("tracking.uri", "postgresql+psycopg2://me@host/db", "postgresql+psycopg2://me@host/db"),
    ],
)
def test_yaml_is_read_as_dvc_reads_it(place: Path, key: str, value: str, expected: object) -> None:
    place.write_text(with_yaml(key, value))
    section, name = key.split(".")
    assert getattr(getattr(load(place), section), name) == expected


@pytest.mark.parametrize("text", ["\ufeff" + TEXT, TEXT.replace("\n", "\r\n"), "---\n" + TEXT])
def test_byte_order_mark_line_ends_and_a_document_start_do_no_harm(place: Path, text: str) -> None:
    place.write_bytes(text.encode())
    assert load(place).model_dump(mode="json") == VALUES


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("data.source", "doodle", "data.source: input should be 'doodles', 'quickdraw', "),
        ("data.dataset", "mnist:3.0.1", "did you mean mnist?. Received: 'mnist:3.0.1'"),
        ("data.dataset", "mnist/", "a name or name/config is needed, without a version; did you"),
        ("data.dataset", "emnist/letters/3.1.0", "did you mean emnist/letters?"),
        ("data.category_names", "[a, b]", "category_names: for data.source: idx; doodles names"),
        ("data.title", '"a\\nb"', "data.title: a title has printable characters only"),
        ("data.categories", "[cat]", "data.categories: needs 2 or more entries"),
        ("data.categories", "cat", "data.categories: input should be a list in brackets"),
        ("data.categories", "[cat, 7, apple]", "data.categories.1: input should be a valid string"),
        ("data.categories", "[cat, cat, key]", "data.categories: holds 'cat' more than once"),
        ("data.categories", "[cat, kat]", "did you mean 'hat', 'cat', 'bat'?"),
        ("data.categories", "[cat, lion]", "not among the doodles: 'lion'; set data.source: quick"),
        ("data.drawings_per_category", "'500'", "Received: '500'"),
        ("data.drawings_per_category", "true", "should be a valid"),
        ("data.drawings_per_category", "9" * 400, "should be less"),
        ("data.drawings_per_category", "0x" + "f" * 4000, "Received: a int"),
        ("data.allow_fewer", "yes", "data.allow_fewer: input should be a valid boolean"),
        ("data.image_size", "32", "data.image_size: images of doodles have 28 pixels a side"),
        ("data.mirror", '"\\ud800"', "data.mirror: input should be a valid string"),
        ("split.test", "0.2", "split: train, validation and test sum to 1.1; make it 1"),
        ("split.test", "0", "split.test: input should be greater than 0"),
        ("seeds", "[]", "seeds: needs 1 or more entries"),
        ("seeds", "[3, 1, 3]", "seeds: holds 3 more than once; list each once"),
        ("seeds", "1", "seeds: input should be a list in brackets, such as [a, b]. Received: 1"),
        (
            "seeds",
            "null",
            "seeds: input should be a list in brackets, such as [a, b]. Received: null",
        ),
        ("seeds", "[4294967296]", "seeds.0: input should be less than 2147483648"),
        ("heads", "[dense, spiral]", "heads.1: input should be 'linear', 'dense', "),
        ("train.width", ".nan", "train.width: input should be a finite number. Received: NaN"),
        ("train.width", "1e999", "train.width: input should be a finite number. Received: Inf"),
        ("train.dropout", "1", "train.dropout: input should be less than 1"),
        ("train.dense_width", "0", "a whole number from 1 to 65536, null, or"),
        ("train.dense_width", "[4, true]", "one for each hidden layer. Received: [4, true]"),
        ("train.augment", "none", "train.augment: input should be keys and values: rotation"),
        ("train.augment.perspective", "0.7", "train.augment.perspective: input should be less"),
        ("tracking.experiment", "2020-01-01", "Received: 2020-01-01, a date; put it in quotes"),
        ("tracking.uri", "http://host:port", "tracking.uri: no URL"),
        ("tracking.uri", "https:///path", "tracking.uri: not a store"),
        ("tracking.uri", "file:mlruns", "tracking.uri: not a store"),
        ("tracking.uri", "sqlite:///m.db?timeout=60", "tracking.uri: options (?)"),
        ("tracking.uri", "sqlite:///a%20b.db", "tracking.uri: options (?) and escapes (%)"),
        ("tracking.uri", "sqlite:///~me/m.db", "tracking.uri: ~ is the home folder only"),
        ("tracking.uri", "sqlite+pysqlite:///m.db", "tracking.uri: it names no file"),
        ("tracking.uri", "sqlite://", "tracking.uri: it names no file"),
        ("tracking.uri", "ftp://me:hidden@host/", "Received: 'ftp://***@host/'"),
    ],
)
def test_a_wrong_value_is_named_by_dotted_key(place: Path, key: str, value: str, line: str) -> None:
    message = refused(place, with_yaml(key, value))
    assert line in message
    assert message.count("\n") == 1


def test_everything_wrong_is_reported_at_once(place: Path) -> None:
    values = copy.deepcopy(VALUES)
    values["train"]["epoch"] = values["train"].pop("epochs")
    values["split"]["train"] = 2
    values["data"]["categories"] = ["cat", "cat", "elefant", "lion"]
    values["seeds"] = [1, 1]
    del values["evaluate"]["seed"]
    values["zzz"] = 1
    message = refused(place, json.dumps(values))
    for part in (
        "7 wrong",
        "train.epochs: missing",
        "train.epoch: unknown key; did you mean epochs?",
        "split.train: ",
        "holds 'cat' more than once",
        "'elefant': no such category; did you mean 'elephant'",
        "not among the doodles: 'lion'",
        "seeds: holds 1 more than once",
        "evaluate.seed: missing",
        "zzz: unknown key; known here: data, split, records,",
    ):
        assert part in message


def test_every_required_key_is_named_when_it_is_missing_and_when_it_is_misspelt() -> None:
    for path in PATHS:
        if ".".join(path) in DEFAULTS:
            continue
        values = copy.deepcopy(VALUES)
        section = at(values, path[:-1])
        section[f"{path[-1]}s"] = section.pop(path[-1])
        with pytest.raises(ValidationError) as caught:
            Params.model_validate(values)
        kinds = {error["type"]: error["loc"] for error in caught.value.errors()}
        assert kinds["missing"] == path
        assert kinds["extra_forbidden"] == (*path[:-1], f"{path[-1]}s")


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "holds nothing instead of keys"),
        (b"# only a comment\n", "holds nothing"),
        (b"[1, 2]", "holds a list instead of keys"),
        (bytes(range(256)), "not readable as YAML"),
        (b"PK\x03\x04" + b"\0" * 100, "not readable as YAML"),
        (TEXT.encode("utf-16"), "not readable as YAML"),
        (b"a:\n\t- b", "line 2: found character '\\t' that cannot start any token"),
        (b"a: [1", "not readable as YAML"),
        (TEXT.encode() + b"\nseeds: [1]\n", 'found duplicate key "seeds"'),
        (TEXT.encode() + b"---\na: 1\n", "another document"),
        (TEXT.encode() + b"1: 2\n", "1: Keys should be strings"),
        (TEXT.encode() + b"? [1, 2]\n: 2\n", "Keys should be strings"),
        (TEXT.encode() + b"2020-01-01: 3\n", "Keys should be strings"),
        (TEXT.encode() + b'"\\e[31m": 3\n', "unknown key"),
        (TEXT.encode() + b"x: &x 1\n", "an anchor or alias (x); write the value itself"),
        (b"a: &a [x, x]\nb: [*a, *a]\n", "an anchor or alias (a)"),
        (b"data: !!int ''", "a tag (tag:yaml.org,2002:int); write the plain value"),
        (b"data: !!python/object/apply:os.system [true]", "a tag"),
        (b"data: !include /etc/passwd", "a tag"),
        (b"data: " + b"9" * 5000, "line 1: more than 4096 characters"),
        (b"[" * 1500, "nested more than 32 deep"),
        (b"{a: " * 500, "nested more than 32 deep"),
        (b"a: [" + b"1," * 65_000 + b"]", "more than 10000 keys and values"),
        (b"#" * (1 << 20), "more than 131072 bytes"),
    ],
)
def test_what_is_no_plain_yaml_is_refused_with_its_reason(
    place: Path, content: bytes, part: str
) -> None:
    assert part in refused(place, content)


def test_thousands_of_wrong_names_make_a_short_message(place: Path) -> None:
    names = [f"x{number}" for number in range(1500)]
    message = refused(place, with_yaml("data.categories", f"[{', '.join(names)}]"))
    assert f"and {1500 - MAX_SHOWN} more" in message
    message = refused(place, TEXT + "".join(f"{name}: 1\n" for name in names))
    assert "1500 wrong" in message
    assert message.count("\n") == MAX_SHOWN + 1


def test_what_passes_is_a_plain_name(params: Params) -> None:
    """So a category is no path, no markup, and no other category in disguise."""
    names = quickdraw()
    assert set(params.data.categories) <= set(names)
    for name in names:
        assert Path(name).name == name
        assert re.fullmatch(r"[A-Za-z][A-Za-z -]*[a-z]", name)
    assert len({unicodedata.normalize("NFKC", name).casefold() for name in names}) == len(names)


evil_names = st.sampled_from(
    [
        *("../../etc/passwd", "a/b", "a\\b", "..", "~", "cat/", "cat\0", "%2e%2e", "con"),
        *("<script>alert(1)</script>", "' onload='x", "&lt;", "{{cat}}", "${cat}", "$(touch x)"),
        *(" cat", "Cat", "cat\n", "ca\u0301t", "\uff43at", "c\u0430t", "cat\u200b", "", "cat" * 99),
        *("\u202ecat", "\x1b[31mcat", "\x07", "\x7f", "\x85", "\u2028", "\ufeffcat"),
    ]
) | st.text(max_size=20).filter(lambda name: name not in quickdraw())


@settings(max_examples=60)
@given(name=evil_names)
def test_a_name_that_is_no_category_is_refused_harmlessly(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    place = tmp_path_factory.getbasetemp() / "params.yaml"
    text = with_yaml("data.categories", json.dumps(["apple", "cat", name]))
    assert "data.categories" in refused(place, text)


words = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]))
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | words
    | st.sampled_from(["dense", "spinal", "cat", "lion", "quickdraw", "auto", 0, 1, 0.5, 1e-300]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=3),
)


@settings(max_examples=60)
@given(path=st.sampled_from(PATHS), value=values)
def test_any_other_value_loads_as_it_is_or_is_refused_by_name(
    tmp_path_factory: pytest.TempPathFactory, path: Keys, value: object
) -> None:
    mutant = copy.deepcopy(VALUES)
    at(mutant, path[:-1])[path[-1]] = value
    place = tmp_path_factory.getbasetemp() / "mutant.yaml"
    place.write_text(json.dumps(mutant, ensure_ascii=False), encoding="utf-8")
    try:
        loaded = load(place)
    except InputError as error:
        message = str(error)
        named = ".".join(path) in message or (path[0] == "split" and "split: " in message)
    else:
        named = True
        every = path == ("data", "categories") and value is None  # all that the source has
        assert at(loaded.model_dump(mode="json"), path) == (list(DOODLES) if every else value)
    assert named


@settings(max_examples=60)
@given(
    start=st.integers(0, len(TEXT)),
    length=st.integers(0, 60),
    filling=st.text(st.sampled_from(list("[]{}:,-#&*!|>'\"%@`?~ \n\tae10.<=")), max_size=12)
    | st.binary(max_size=9).map(lambda data: data.decode("latin-1")),
)
def test_a_damaged_file_loads_or_is_refused_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, start: int, length: int, filling: str
) -> None:
    place = tmp_path_factory.getbasetemp() / "damaged.yaml"
    place.write_bytes((TEXT[:start] + filling + TEXT[start + length :]).encode())
    with contextlib.suppress(InputError):
        load(place)


BAD_FILES = {
    "pipe": "a pipe or a device",
    "device": "a pipe or a device",
    "folder": "cannot be read",
    "loop": "cannot be read",
    "missing": "missing",
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_stage_refuses_a_bad_file_and_leaves_no_trace(tmp_path: Path, kind: str) -> None:
    place, project = tmp_path / "bad.yaml", tmp_path / "project"
    project.mkdir()
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    elif kind != "missing":  # a loop of links nobody can read, not even root
        place.symlink_to("/dev/zero" if kind == "device" else place)
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.fetch", "--params", str(place)],
        cwd=project,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"fetch: {place}: ")
    assert BAD_FILES[kind] in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.replace("\n", "").isprintable()
    assert list(project.iterdir()) == []
