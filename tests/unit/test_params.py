"""params.yaml: what loads, what is refused, and that whatever is wrong is named, all at once."""

from __future__ import annotations

import contextlib
import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from ruamel.yaml import YAML

from quickspine import categories
from quickspine.categories import DOODLES
from quickspine.errors import InputError
from quickspine.params import Params, load
from quickspine.params.errors import MAX_SHOWN
from tests.unit.optional import OPTIONAL

TEXT = (Path(__file__).resolve().parents[2] / "params.yaml").read_text(encoding="utf-8")
VALUES: dict[str, Any] = YAML(typ="safe", pure=True).load(TEXT)
Change = Callable[[str, str], str]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "params.yaml"


def changed(key: str, value: str) -> str:
    """The project's text with another value, as YAML, at the first place of the name `key`."""
    found = re.search(rf"^( *){key}:.*\n(?:\1 +.*\n)*", TEXT, re.MULTILINE)
    assert found, key
    return f"{TEXT[: found.start()]}{found[1]}{key}: {value}\n{TEXT[found.end() :]}"


def refused(place: Path, content: str | bytes) -> str:
    """The message about `content`, which must not load."""
    place.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as caught:
        load(place)
    message = str(caught.value)
    assert message.startswith(f"{place}: ")
    assert len(message) < 20_000  # whatever the file held
    return message


def at(values: dict[str, Any], path: tuple[str, ...]) -> Any:
    for part in path:
        values = values[part]
    return values


def paths(values: Any, before: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The way to every key, sections and leaves."""
    if not isinstance(values, dict):
        return [before]
    own = [before] if before else []
    return own + [path for key, value in values.items() for path in paths(value, (*before, key))]


PATHS = paths(VALUES)


def test_the_project_s_own_params_load_and_are_frozen(params: Params) -> None:
    assert params.data.source == "doodles"
    assert params.model_dump(mode="json") == VALUES
    with pytest.raises(ValueError, match="frozen"):
        params.train.epochs = 3
    hash(params)  # frozen through and through


def test_every_key_of_the_models_stands_in_the_file_and_has_a_comment(params: Params) -> None:
    written = {path for path in PATHS if not isinstance(at(VALUES, path), dict)}
    assert {".".join(path) for path in written} == set(params.flat())
    bare = [line for line in TEXT.splitlines() if re.match(r" +\w+: *[^#\s]", line)]
    explained = [line for line in bare if "#" in line]
    assert len(explained) > 0.8 * len(bare)


def test_flat_gives_dotted_keys_for_mlflow(params: Params) -> None:
    flat = params.flat()
    assert flat["train.augment.rotation"] == params.train.augment.rotation
    assert flat["seeds"] == list(params.seeds)
    json.dumps(flat)


def test_the_digest_names_sections_and_nothing_else(
    params: Params, make_params: Callable[[dict[str, Any]], Params]
) -> None:
    other = make_params({"train.epochs": params.train.epochs + 1})
    assert params.digest() != other.digest()
    assert params.digest("train") != other.digest("train")
    assert params.digest("data", "split") == other.digest("data", "split")
    assert params.digest("data", "split") == params.digest("split", "data")
    assert params.digest("data") != params.digest("split")
    assert re.fullmatch("[0-9a-f]{64}", params.digest())


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("learning_rate", "1e-3", ("train", "learning_rate", 0.001)),  # YAML 1.2: a number
        ("learning_rate", "1", ("train", "learning_rate", 1)),
        ("experiment", "no", ("tracking", "experiment", "no")),  # a word
        ("experiment", "'2020-01-01'", ("tracking", "experiment", "2020-01-01")),
        ("mirror", "file:///tmp/a b", ("data", "mirror", "file:///tmp/a b")),
        ("early_stopping", "~", ("train", "early_stopping", None)),
        ("dense_width", "[1024, 512]", ("train", "dense_width", (1024, 512))),
        ("dense_width", "[7]", ("train", "dense_width", (7,))),
        ("drawings_per_category", "0x10", ("data", "drawings_per_category", 16)),
    ],
)
def test_yaml_is_read_as_dvc_reads_it(
    place: Path, key: str, value: str, expected: tuple[str, str, object]
) -> None:
    place.write_text(changed(key, value))
    section, name, result = expected
    assert getattr(getattr(load(place), section), name) == result


@pytest.mark.parametrize("text", ["\ufeff" + TEXT, TEXT.replace("\n", "\r\n"), "---\n" + TEXT])
def test_byte_order_mark_line_ends_and_a_document_start_do_no_harm(place: Path, text: str) -> None:
    place.write_bytes(text.encode())
    assert load(place).model_dump(mode="json") == VALUES


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("source", "doodle", "data.source: input should be 'doodles', 'quickdraw', "),
        ("categories", "[cat]", "data.categories: list should have at least 2 items"),
        ("categories", "cat", "data.categories: input should be a valid tuple"),
        ("categories", "[cat, 7, apple]", "data.categories.1: input should be a valid string"),
        ("categories", "[cat, cat, key]", "data.categories: holds 'cat' more than once"),
        ("categories", "[cat, kat]", "'kat': no such category; did you mean 'hat', 'cat', 'bat'?"),
        ("categories", "[cat, Apple]", "'Apple': no such category; did you mean 'apple'"),
        ("categories", "[cat, lion]", "not among the doodles: 'lion'; set data.source: quickdraw"),
        ("drawings_per_category", "0", "data.drawings_per_category: input should be greater than"),
        ("drawings_per_category", "5e2", "data.drawings_per_category: input should be a valid int"),
        ("drawings_per_category", "'500'", "Received: '500'"),
        ("drawings_per_category", "true", "data.drawings_per_category: input should be a valid"),
        ("drawings_per_category", "9" * 400, "data.drawings_per_category: input should be less"),
        ("drawings_per_category", "0x" + "f" * 4000, "Received: a int"),
        ("allow_fewer", "'no'", "data.allow_fewer: input should be a valid boolean"),
        ("mirror", "''", "data.mirror: String should have at least 1 character"),
        ("test", "0.2", "split: train, validation and test sum to 1.1; make it 1"),
        ("test", "0", "split.test: input should be greater than 0"),
        ("shard_mebibytes", "0", "records.shard_mebibytes: input should be greater than"),
        ("seeds", "[]", "seeds: list should have at least 1 item"),
        ("seeds", "[3, 1, 3]", "seeds: holds 3 more than once; list each once"),
        ("seeds", "[-1]", "seeds.0: input should be greater than or equal to 0"),
        ("seeds", "[4294967296]", "seeds.0: input should be less than 2147483648"),
        ("seeds", "[1.0, true]", "seeds.1: input should be a valid integer"),
        ("heads", "[dense, dense]", "heads: holds 'dense' more than once"),
        ("heads", "[dense, spiral]", "heads.1: input should be 'linear', 'dense', "),
        ("width", ".nan", "train.width: input should be a finite number. Received: NaN"),
        ("width", "1e999", "train.width: input should be a finite number. Received: Infinity"),
        ("width", "9" * 400, "train.width: input should be a valid number"),
        ("dropout", "1", "train.dropout: input should be less than 1"),
        (
            "dense_width",
            "0",
            "train.dense_width: should be a whole number from 1 to 65536, null, or",
        ),
        ("dense_width", "[]", "train.dense_width: should be a whole number from 1 to 65536, null"),
        ("dense_width", "[4, 65537]", "one for each hidden layer. Received: [4, 65537]"),
        ("dense_width", "[4, true]", "one for each hidden layer. Received: [4, true]"),
        ("dense_width", "4.0", "one for each hidden layer. Received: 4.0"),
        ("spinal_input", "cell", "train.spinal_input: input should be 'halves' or 'cells'"),
        ("rotation", "-5", "train.augment.rotation: input should be greater than or equal to 0"),
        ("perspective", "0.7", "train.augment.perspective: input should be less than or equal to"),
        ("perspective", "-0.1", "train.augment.perspective: input should be greater than or equal"),
        ("augment", "none", "train.augment: input should be a valid dictionary"),
        ("image_size", "32", "data.image_size: images of doodles have 28 pixels a side"),
        ("image_size", "7", "data.image_size: input should be greater than or equal to 8"),
        ("experiment", "2020-01-01", "Received: 2020-01-01, a date; put it in quotes"),
        ("experiment", '"\\ud800"', "tracking.experiment: input should be a valid string"),
        ("experiment", "", "tracking.experiment: input should be a valid string. Received: null"),
    ],
)
def test_a_wrong_value_is_named_by_dotted_key(place: Path, key: str, value: str, line: str) -> None:
    message = refused(place, changed(key, value))
    assert line in message
    assert "\n" in message


def test_counts_of_wrong_seeds_do_not_add_a_complaint_about_their_number(place: Path) -> None:
    assert refused(place, changed("seeds", "[x]")).count("\n") == 1


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


@pytest.mark.parametrize("path", [p for p in PATHS if p not in OPTIONAL], ids=".".join)
def test_a_key_that_is_missing_or_misspelt_is_named(place: Path, path: tuple[str, ...]) -> None:
    values = copy.deepcopy(VALUES)
    section = at(values, path[:-1])
    section[f"{path[-1]}s"] = section.pop(path[-1])
    message = refused(place, json.dumps(values))
    assert f"{'.'.join(path)}: missing" in message
    assert f"{'.'.join(path)}s: unknown key; did you mean {path[-1]}?" in message


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "holds nothing instead of keys"),
        (b"# only a comment\n", "holds nothing"),
        (b"[1, 2]", "holds a list instead of keys"),
        (b"hello", "holds a str"),
        (bytes(range(256)), "not readable as YAML"),
        (TEXT.encode("utf-16"), "not readable as YAML"),
        (TEXT.encode() + b"\0", "not readable as YAML"),
        (b"a:\n\t- b", "line 2: found character '\\t' that cannot start any token"),
        (b"a: [1", "not readable as YAML"),
        (b"a: b: c", "line 1"),
        (TEXT.encode() + b"\nseeds: [1]\n", 'found duplicate key "seeds"'),
        (TEXT.encode() + b"---\na: 1\n", "another document"),
        (TEXT.encode() + b"1: 2\n", "1: Keys should be strings"),
        (TEXT.encode() + b"null: 2\n", "None: Keys should be strings"),
        (TEXT.encode() + b"? [1, 2]\n: 2\n", "Keys should be strings"),
        (TEXT.encode() + b"? {a: [b]}\n: 2\n", "found unhashable key"),
        (TEXT.encode() + b"2020-01-01: 3\n", "Keys should be strings"),
        (TEXT.encode() + b'"\\ud800": 3\n', "unicode"),
        (TEXT.encode() + b"x: &x 1\n", "an anchor or alias (x); write the value itself"),
        (TEXT.encode() + b"x: *y\n", "an anchor or alias (y)"),
        (TEXT.encode() + b"x: &x {<<: *x}\n", "an anchor or alias (x)"),
        (b"%YAML 9.9\n---\n" + TEXT.encode(), "not readable as YAML"),
        (b"data: !!int ''", "a tag (tag:yaml.org,2002:int); write the plain value"),
        (b"data: !!bool xyz", "a tag"),
        (b"data: !!binary aGVsbG8=", "a tag"),
        (b"data: !!set {a, b}", "a tag"),
        (b"data: !!python/object/apply:os.system [true]", "a tag"),
        (b"data: " + b"9" * 5000, "line 1: more than 4096 characters"),
        (b"x" * 5000 + b": 1", "more than 4096 characters"),
        (b"[" * 1500, "nested more than 32 deep"),
        (b"{a: " * 500, "nested more than 32 deep"),
        (b"[" * 40 + b"]" * 40, "nested more than 32 deep"),
        (b"-" * (1 << 20), "more than 131072 bytes"),
    ],
)
def test_what_is_no_plain_yaml_is_refused_with_its_reason(
    place: Path, content: bytes, part: str
) -> None:
    assert part in refused(place, content)


def test_an_alias_bomb_is_refused_before_it_grows(place: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, 30):  # 10 ** 30 strings
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]")
    assert "an anchor or alias" in refused(place, TEXT + "\n".join(lines))


@pytest.mark.parametrize(
    ("path", "reason"), [("nothing.yaml", "missing"), (".", "cannot be read"), ("a\0b", "null")]
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, path: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        load(tmp_path / path)


def test_an_endless_file_is_not_read_to_its_end() -> None:
    with pytest.raises(InputError, match="/dev/zero: a pipe or a device; give a plain file"):
        load("/dev/zero")


def test_thousands_of_wrong_names_make_a_short_message(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"x{number}" for number in range(1500)]
    asked: list[str] = []

    def unknown(name: str, known: tuple[str, ...]) -> str:
        asked.append(name)
        return "no such category"

    monkeypatch.setattr(categories, "unknown", unknown)
    message = refused(place, changed("categories", f"[{', '.join(names)}]"))
    assert f"and {1500 - MAX_SHOWN} more" in message
    assert len(asked) == MAX_SHOWN  # looking for close matches takes a millisecond each

    message = refused(place, TEXT + "".join(f"{name}: 1\n" for name in names))
    assert "1500 wrong" in message
    assert message.count("\n") == MAX_SHOWN + 1


def test_control_characters_and_markup_in_names_are_shown_harmlessly(place: Path) -> None:
    names = r'["../../etc", "a/b", "<script>alert(1)</script>", "\e[31mred", "\x07", "", cat]'
    message = refused(place, changed("categories", names))
    assert message.replace("\n", "").isprintable()
    for part in ("'../../etc'", "'a/b'", "'<script>alert(1)</script>'", r"\x1b[31mred", "''"):
        assert part in message
    message = refused(place, TEXT + '"\\e[31m": 1\n')
    assert message.replace("\n", "").isprintable()


words = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]))
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | words
    | st.sampled_from(["dense", "spinal", "cat", "lion", "quickdraw", "auto", 0, 1, 0.5, 1e-300])
)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=3)
)


@settings(max_examples=80, deadline=None)
@given(path=st.sampled_from(PATHS), value=values)
def test_any_other_value_loads_or_is_refused_by_name(
    tmp_path_factory: pytest.TempPathFactory, path: tuple[str, ...], value: object
) -> None:
    mutant = copy.deepcopy(VALUES)
    at(mutant, path[:-1])[path[-1]] = value
    place = tmp_path_factory.getbasetemp() / "mutant.yaml"
    place.write_text(json.dumps(mutant, ensure_ascii=False), encoding="utf-8")
    try:
        loaded = load(place)
    except InputError as error:
        message = str(error)
    else:
        every = path == ("data", "categories") and value is None  # all that the source has
        assert at(loaded.model_dump(mode="json"), path) == (list(DOODLES) if every else value)
        return
    assert ".".join(path) in message or (path[0] == "split" and "split: " in message)


@settings(max_examples=40, deadline=None)
@given(path=st.sampled_from(PATHS), name=words, value=values)
def test_any_unknown_key_is_refused_by_name(
    tmp_path_factory: pytest.TempPathFactory, path: tuple[str, ...], name: str, value: object
) -> None:
    mutant = copy.deepcopy(VALUES)
    while not isinstance(at(mutant, path), dict):
        path = path[:-1]
    if name in at(mutant, path):
        return
    at(mutant, path)[name] = value
    place = tmp_path_factory.getbasetemp() / "mutant.yaml"
    place.write_text(json.dumps(mutant, ensure_ascii=False), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load(place)
    key = ".".join((*path, name))
    assert (key if key.isprintable() else repr(key)[:200])[:200] in str(caught.value)


@settings(max_examples=80, deadline=None)
@given(
    start=st.integers(0, len(TEXT)),
    length=st.integers(0, 60),
    filling=st.text(st.sampled_from(list("[]{}:,-#&*!|>'\"%@`?~ \n\tae10.<=")), max_size=12)
    | st.text(max_size=3),
)
def test_a_damaged_file_loads_or_is_refused_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, start: int, length: int, filling: str
) -> None:
    place = tmp_path_factory.getbasetemp() / "damaged.yaml"
    text = TEXT[:start] + filling + TEXT[start + length :]
    place.write_bytes(text.encode("utf-8", errors="surrogatepass"))
    with contextlib.suppress(InputError):
        load(place)


@pytest.mark.parametrize(
    "uri",
    [
        *("http://[::1", "http://", "https:///path", "http://host:port", "javascript:alert(1)"),
        *("ftp://me:hidden@host/", "mlruns", "file:mlruns"),
    ],
)
def test_a_tracking_uri_that_is_no_store_is_refused(
    make_params: Callable[..., Params], uri: str
) -> None:
    with pytest.raises(ValidationError, match=r"tracking\.uri"):
        make_params({"tracking.uri": uri})


@pytest.mark.parametrize(
    "uri",
    [
        *("http://127.0.0.1:5000", "https://me:word@host/path", "sqlite:///runs.db"),
        *("postgresql+psycopg2://me@host/db", "mysql://host/db"),
    ],
)
def test_a_tracking_uri_of_a_store_is_taken(make_params: Callable[..., Params], uri: str) -> None:
    assert make_params({"tracking.uri": uri}).tracking.uri == uri


def test_a_password_in_a_wrong_uri_is_not_shown(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "params.yaml").read_text()
    assert "uri: null" in text
    (tmp_path / "params.yaml").write_text(text.replace("uri: null", "uri: ftp://me:hidden@host/"))
    with pytest.raises(InputError, match=r"tracking\.uri: not a store") as caught:
        load(tmp_path / "params.yaml")
    assert "hidden" not in str(caught.value)
    assert "ftp://***@host" in str(caught.value)
