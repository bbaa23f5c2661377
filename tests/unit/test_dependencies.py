"""dvc.yaml names all code that can change a stage's output, and checkpoints take it from there.

A module that a stage imports lies in one of the stage's entries in dvc.yaml, or stands below with
the reason why it cannot change what the stage writes.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import grimp
import pytest

from quickspine.params import load
from quickspine.training.code import code_digest, code_files
from quickspine.yaml_file import read

ROOT = Path(__file__).resolve().parents[2]
STAGES: dict[str, dict[str, Any]] = read(ROOT / "dvc.yaml")["stages"]
LARGEST = 8  # entries of a stage

# Modules that no output depends on, with all below them.
HARMLESS = {
    "quickspine.cli": "arguments, lock and exit code",
    "quickspine.console": "what reaches the terminal",
    "quickspine.errors": "exceptions",
    "quickspine.files": "writes whole or not at all whatever it is given",
    "quickspine.inputs": "sets links, which DVC follows",
    "quickspine.nets.allowed_classes": "refuses models that hold what no network here has",
    "quickspine.nets.sizes": "refuses images too small for a network",
    "quickspine.parallel": "returns results in the order of the jobs, whatever the workers",
    "quickspine.params": "values are params of dvc.yaml; defaults are frozen by test_params.py",
    "quickspine.signals": "when a stage stops",
    "quickspine.sources.storage.manifest": "refuses or passes what a manifest says",
    "quickspine.space": "room on the disk and its errors",
    "quickspine.tracking": "reads what was written; MLflow is a view over files",
    "quickspine.validation": "refuses or passes what was read",
    "quickspine.yaml_file": "reads params.yaml; its values are params of dvc.yaml",
}
# Packages whose own `__init__.py` is harmless; what lies below them is not.
HARMLESS_PACKAGES = {
    "pipeline": "finds the environment and starts the stage, whose own module is an entry",
    "quickspine": "says what is public",
    "quickspine.dataset": "the names of the splits",
    "quickspine.sources": "starts a source, in fetch alone, where it is in an entry",
}
# Modules found by name, which no import shows.
BY_NAME = {
    "fetch": "quickspine.sources",
    "finetune": "quickspine.nets.pretrained",
    "evaluate": "quickspine.nets.heads",
}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    """The import graph of package and entry points, function-level imports included."""
    return grimp.build_graph(
        "quickspine", "pipeline", exclude_type_checking_imports=True, cache_dir=None
    )


def imported(graph: grimp.ImportGraph, start: list[str]) -> set[str]:
    """Every module that those of `start` import, and the packages they lie in.

    What only harmless modules import is harmless as well.
    """
    found: set[str] = set()
    waiting = list(start)
    while waiting:
        module = waiting.pop()
        if module in found or is_harmless(module):
            continue
        if not only_says_what_it_is(module):
            found.add(module)
        waiting += graph.find_modules_directly_imported_by(module)
        waiting += [module.rpartition(".")[0]]  # importing a module runs its package
    return found - {""}


def only_says_what_it_is(module: str) -> bool:
    """Whether a module is a package whose `__init__.py` is a docstring."""
    folder = (ROOT if module.startswith("pipeline") else ROOT / "src") / module.replace(".", "/")
    if not (folder / "__init__.py").is_file():
        return False
    return len(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")).body) <= 1


def below(module: str, package: str) -> bool:
    """Whether `module` is `package`, or lies in it."""
    return module == package or module.startswith(f"{package}.")


def is_harmless(module: str) -> bool:
    """Whether a module is listed as one that no output depends on."""
    return module in HARMLESS_PACKAGES or any(below(module, name) for name in HARMLESS)


def unnamed(graph: grimp.ImportGraph, stage: str, entries: list[str], head: str) -> list[str]:
    """The modules of a stage that are in no entry and in no list of harmless ones."""
    start = [f"pipeline.{stage}"]
    start += [m for m in graph.modules if below(m, BY_NAME.get(stage, "-"))]
    if "head" in str(STAGES[stage].get("matrix", "")):
        start.append(f"quickspine.nets.heads.{head}")
    places = [entry.replace("${item.head}", head) for entry in entries]
    named = [place.removesuffix(".py").removeprefix("src/").replace("/", ".") for place in places]
    modules = imported(graph, start)
    return sorted(m for m in modules if not any(below(m, name) for name in named))


@pytest.mark.parametrize("head", load(ROOT / "params.yaml").heads)
@pytest.mark.parametrize("stage", STAGES)
def test_every_module_of_a_stage_is_an_entry_or_harmless(
    graph: grimp.ImportGraph, stage: str, head: str
) -> None:
    entries = STAGES[stage]["deps"]
    missing = unnamed(graph, stage, entries, head)
    assert not missing, f"{stage} imports {', '.join(missing)}: add to dvc.yaml, or to HARMLESS"
    assert len(entries) <= LARGEST


@pytest.mark.parametrize(
    ("stage", "entry"),
    [(stage, entry) for stage, facts in STAGES.items() for entry in facts["deps"]],
)
def test_no_code_entry_is_there_for_nothing(
    graph: grimp.ImportGraph, stage: str, entry: str
) -> None:
    """Each entry is missed when it is taken out; so is each entry of the test above."""
    if not entry.startswith("src/"):
        return
    rest = [other for other in STAGES[stage]["deps"] if other != entry]
    assert unnamed(graph, stage, rest, "spinal") != []


def test_checkpoints_take_their_code_from_dvc_yaml(tmp_path: Path) -> None:
    """A change to any file of the stage's entries gives another digest, any other file none."""
    (tmp_path / "dvc.yaml").write_text((ROOT / "dvc.yaml").read_text())
    for file in {*code_files("train", "spinal"), *code_files("train", "dense")}:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes((ROOT / file).read_bytes())
    before = code_digest("train", "spinal", tmp_path)
    assert before == code_digest("train", "spinal")
    for file in code_files("train", "spinal", tmp_path):
        content = (tmp_path / file).read_bytes()
        (tmp_path / file).write_bytes(content + b"#")
        assert code_digest("train", "spinal", tmp_path) != before, file
        (tmp_path / file).write_bytes(content)
    (tmp_path / "src/quickspine/nets/heads/dense.py").write_text("other")
    assert code_digest("train", "spinal", tmp_path) == before
    names = [file.name for file in code_files("finetune", None, tmp_path)]
    assert names
    assert "spinal.py" not in names
