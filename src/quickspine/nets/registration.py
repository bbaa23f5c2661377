"""Makes `import quickspine` enough for Keras to load our models, without importing Keras for it.

Keras finds the layers in a `.keras` file by the name they were registered under, such as
"quickspine>SpinalHead". It imports no module outside its own packages for that, though the file
names one. Importing the layers together with quickspine would cost `--help`, the checks of the
params and the stages without TensorFlow its seven seconds. So the layers are registered at once
where Keras is already imported, and otherwise as soon as it is: an import hook lets Keras be
found as ever, and imports the layers when its module has run. Loading needs Keras, so that is
always early enough.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

KERAS = "keras"
LAYERS = "quickspine.nets.heads"  # importing it registers all that our models are made of


def register_with_keras() -> None:
    """Register the layers now if Keras is imported, else once it will be."""
    if KERAS in sys.modules:
        importlib.import_module(LAYERS)
    else:
        sys.meta_path.insert(0, _AfterKeras())


class _AfterKeras(MetaPathFinder):
    """Finds Keras as the other finders do, and has the layers imported after it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != KERAS:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                return self._then_layers(spec)
        return None

    def _then_layers(self, spec: ModuleSpec) -> ModuleSpec:
        # Nothing happens yet: someone may only ask whether there is a Keras.
        loader = spec.loader
        if loader is None:
            return spec
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            if module.__name__ == KERAS and self in sys.meta_path:
                sys.meta_path.remove(self)
                importlib.import_module(LAYERS)

        loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
