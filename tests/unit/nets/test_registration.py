"""`import quickspine` alone makes models load, and does not bring TensorFlow with it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import pytest

from quickspine.nets import registration


def test_checking_params_needs_no_tensorflow() -> None:
    code = (
        "import sys, quickspine.params, quickspine.cli\n"
        "print([name for name in ('keras', 'tensorflow', 'h5py') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (answer.stdout, answer.returncode) == ("[]\n", 0), answer.stderr


class Fake(MetaPathFinder, Loader):
    """Finds and runs a module that stands for Keras."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname == "fake_keras" else None

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        self.events.append("keras")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    fake = Fake()
    monkeypatch.setattr(sys, "meta_path", [fake, *sys.meta_path])
    monkeypatch.delitem(sys.modules, "fake_keras", raising=False)
    monkeypatch.setattr(registration, "KERAS", "fake_keras")
    monkeypatch.setattr(registration, "LAYERS", "fake_layers")
    monkeypatch.setitem(sys.modules, "fake_layers", ModuleType("fake_layers"))
    real = importlib.import_module

    def noted(name: str) -> ModuleType:
        if name == "fake_layers":
            fake.events.append("layers")
        return real(name)

    monkeypatch.setattr(importlib, "import_module", noted)
    return fake


def test_layers_follow_keras_once(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    finders = len(sys.meta_path)
    registration.register_with_keras()
    assert fake.events == []
    assert importlib.util.find_spec("fake_keras") is not None  # only asked for
    assert importlib.util.find_spec("no_such_module_at_all") is None
    assert fake.events == []
    importlib.__import__("fake_keras")
    assert fake.events == ["keras", "layers"]
    assert len(sys.meta_path) == finders  # the hook is gone
    monkeypatch.delitem(sys.modules, "fake_keras")
    importlib.__import__("fake_keras")
    assert fake.events == ["keras", "layers", "keras"]


def test_layers_come_at_once_where_keras_is_there(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fake_keras", ModuleType("fake_keras"))
    finders = len(sys.meta_path)
    registration.register_with_keras()
    assert fake.events == ["layers"]
    assert len(sys.meta_path) == finders


def test_without_keras_quickspine_still_imports(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registration, "KERAS", "no_such_keras_at_all")
    registration.register_with_keras()
    with pytest.raises(ModuleNotFoundError, match="no_such_keras_at_all"):
        importlib.__import__("no_such_keras_at_all")
    assert fake.events == []
