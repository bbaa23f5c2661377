"""What no linter checks: pinned and hashed dependencies, nothing unpickled, no open ports.

ruff's S rules refuse eval, shells, unsafe YAML, pickles and requests without TLS's checks.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("src", "pipeline", "benchmarks", "examples")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def unsafe_loads(text: str) -> Iterator[str]:
    """Calls that load arrays or models without saying that no object may be unpickled."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        options = {option.arg: ast.unparse(option.value) for option in node.keywords}
        if name in ("np.load", "numpy.load") and options.get("allow_pickle") != "False":
            yield f"{name} without allow_pickle=False"
        if re.search(r"(keras\.\w+|\bsaving|\bmodels)\.load_model$", name) and (
            options.get("safe_mode") != "True"
        ):
            yield f"{name} without safe_mode=True"
        if options.get("allow_pickle", "False") != "False" or "unsafe_deserialization" in name:
            yield f"{name} may unpickle"


def test_no_module_loads_what_might_run_code() -> None:
    assert len(SOURCES) > 100
    found = [
        f"{path}: {each}" for path in SOURCES for each in unsafe_loads(path.read_text("utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "np.load(path, mmap_mode='r')",
        "np.load(path, allow_pickle=flag)",
        "open_memmap(path, allow_pickle=True)",
        "keras.saving.load_model(path)",
        "keras.models.load_model(path, safe_mode=False)",
        "keras.config.enable_unsafe_deserialization()",
    ],
)
def test_each_of_these_would_be_noticed(line: str) -> None:
    assert list(unsafe_loads(line))


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-cuda.lock"])
def test_every_dependency_is_pinned_and_hashed_and_no_registry_named(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    entries = text.replace("\\\n", " ").splitlines()
    lines = [line for line in entries if line.strip() and not line.lstrip().startswith("#")]
    assert len(lines) > 100
    for line in lines:
        requirement, *hashes = re.split(r"\s--hash=", line)
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z0-9,_-]+\])?==[^=\s;]+(\s*;.*)?\s*$", requirement)
        assert hashes, line
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}\s*", each) for each in hashes)
    assert not re.search(r"://|--(extra-)?index|--find-links|--trusted|\bgit\+|^-", text, re.M)


def test_make_installs_by_hash_and_nothing_besides() -> None:
    lines = (ROOT / "Makefile").read_text(encoding="utf-8").splitlines()
    for line in (line for line in lines if "pip install" in line or "$(PIP) install" in line):
        assert "--require-hashes" in line or "--no-deps --no-build-isolation" in line


def test_no_code_listens_on_other_addresses_than_this_machine_s() -> None:
    """Who serves what: tests/func/test_ui.py looks at the sockets of the real UI."""
    everywhere = re.compile(r"0\.0\.0\.0|INADDR_ANY|['\"]::['\"]")
    for path in (*SOURCES, ROOT / "Makefile", ROOT / "dvc.yaml"):
        assert not everywhere.search(path.read_text(encoding="utf-8")), path
