"""What the code never does: unpickle, evaluate text, start a shell, listen to strangers.

What damaged and hostile files are answered with stands in the tests of their rooms; here the code
itself is read, so that no later change brings back what those tests cannot see.
"""

from __future__ import annotations

import ast
import contextlib
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mirror_server import MirrorServer

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "pipeline").rglob("*.py")])

# Modules that make objects, and so run code, of what a file says. `pickletools` only reads one.
PICKLES = {
    *("pickle", "_pickle", "cPickle", "marshal", "shelve", "dbm", "copyreg", "joblib", "dill"),
    *("cloudpickle", "pandas", "torch", "yaml"),
}
CALLS = {
    *("eval", "exec", "compile", "__import__", "input", "breakpoint"),
    *("os.system", "os.popen", "pty.spawn", "runpy.run_path", "runpy.run_module", "code.interact"),
    *("keras.config.enable_unsafe_deserialization", "enable_unsafe_deserialization"),
    *("np.fromregex", "np.lib.format.read_array", "npy_format.read_array"),
    *("tempfile.mktemp", "tarfile.open", "shutil.unpack_archive"),
}


def name_of(node: ast.expr) -> str:
    """A call's function as it is written, such as `a.b.c`."""
    return ast.unparse(node)


def forbidden(text: str) -> Iterator[str]:
    """What a module does that none here may do."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.partition(".")[0] in PICKLES)
        elif isinstance(node, ast.ImportFrom):
            if (node.module or "").partition(".")[0] in PICKLES:
                yield f"from {node.module}"
            yield from (a.name for a in node.names if a.name in PICKLES)
        elif isinstance(node, ast.Call):
            yield from _calls(node)


def _calls(node: ast.Call) -> Iterator[str]:
    name = name_of(node.func)
    options = {option.arg: ast.unparse(option.value) for option in node.keywords}
    if name in CALLS:
        yield name
    if name in ("np.load", "numpy.load") and options.get("allow_pickle") != "False":
        yield f"{name} without allow_pickle=False"
    if name.endswith("load_model") and options.get("safe_mode") != "True":
        yield f"{name} without safe_mode=True"
    if options.get("allow_pickle", "False") != "False":
        yield f"{name} with allow_pickle"
    if options.get("safe_mode", "True") != "True":
        yield f"{name} without safe mode"
    if options.get("shell", "False") != "False":
        yield f"{name} in a shell"
    if options.get("verify", "True") == "False":
        yield f"{name} without TLS's checks"
    if name == "YAML" and options.get("typ") not in ("'safe'", '"safe"'):
        yield "YAML that is not safe"


def test_there_is_code_to_read() -> None:
    assert len(SOURCES) > 100
    assert any(path.name == "torch_weights.py" for path in SOURCES)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_does_what_none_may_do(path: Path) -> None:
    assert list(forbidden(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "import pickle as p",
        "from pickle import loads",
        "import a, _pickle",
        "from six.moves import cPickle",
        "import torch.serialization",
        "import joblib",
        "def f():\n    import marshal",
        "eval('1')",
        "x = [exec(y) for y in z]",
        "os.system('ls')",
        "subprocess.run('ls', shell=True)",
        "np.load(path)",
        "np.load(path, mmap_mode='r')",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=flag)",
        "numpy.load(path)",
        "open_memmap(path, allow_pickle=True)",
        "keras.saving.load_model(path)",
        "keras.models.load_model(path, safe_mode=False)",
        "model.load(path, safe_mode=flag)",
        "keras.config.enable_unsafe_deserialization()",
        "YAML()",
        "YAML(typ='unsafe')",
        "httpx.get(url, verify=False)",
    ],
)
def test_each_of_these_would_be_seen(line: str) -> None:
    assert list(forbidden(line))


def test_what_is_harmless_is_let_through() -> None:
    text = "import pickletools\nnp.load(a, allow_pickle=False)\nYAML(typ='safe')\nre.compile('')\n"
    assert list(forbidden(text + "load_model(a, compile=False, safe_mode=True)")) == []


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-cuda.lock"])
def test_every_dependency_is_pinned_and_hashed_and_no_registry_named(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    wanted = text.replace("\\\n", " ").splitlines()
    lines = [line for line in wanted if line.strip() and not line.lstrip().startswith("#")]
    assert len(lines) > 100
    for line in lines:
        requirement, *hashes = re.split(r"\s--hash=", line)
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z0-9,_-]+\])?==[^=\s;]+(\s*;.*)?\s*$", requirement)
        assert hashes, line
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}\s*", each) for each in hashes)
    assert not re.search(r"://|--(extra-)?index|--find-links|--trusted|\bgit\+|^-", text, re.M)


def test_make_installs_by_hash_and_nothing_besides() -> None:
    lines = (ROOT / "Makefile").read_text(encoding="utf-8").splitlines()
    for line in (line for line in lines if "pip install" in line):
        assert "--require-hashes" in line or "--no-deps --no-build-isolation" in line


def test_no_code_listens_on_other_addresses_than_this_machine_s() -> None:
    """Who serves what: tests/func/test_ui.py looks at the sockets of the real UI."""
    everywhere = re.compile(r"0\.0\.0\.0|INADDR_ANY|['\"]::['\"]")
    for path in (*SOURCES, ROOT / "Makefile", ROOT / "dvc.yaml"):
        assert not everywhere.search(path.read_text(encoding="utf-8")), path


def test_a_server_of_the_tests_is_not_there_for_others(tmp_path: Path) -> None:
    with MirrorServer(tmp_path) as server:
        host, _, port = server.url.removeprefix("http://").rstrip("/").partition(":")
        assert host == "127.0.0.1"
        with socket.create_connection((host, int(port)), timeout=60):
            pass
        for other in own_addresses():
            with pytest.raises(OSError, match=r"refused|timed out|unreachable"):
                socket.create_connection((other, int(port)), timeout=5).close()


def own_addresses() -> list[str]:
    """Addresses of this machine that others might reach it by, and 127.0.0.2 which is as good."""
    found: set[str] = set()
    with contextlib.suppress(OSError):  # a machine whose own name is not known to it
        for *_, address in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET):
            found.add(str(address[0]))
    return sorted(found - {"127.0.0.1"} | {"127.0.0.2"})
