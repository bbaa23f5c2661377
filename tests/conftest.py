"""The project's own params, and variations of them, for every test."""

from __future__ import annotations

import gc
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from quickspine.params import Params, load

ROOT = Path(__file__).resolve().parents[1]

# A shell starts background jobs deaf to Ctrl-C, and `nohup` makes them deaf to a closed terminal;
# so would be all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Warnings are errors and machines are busy: an example that takes long is no fault.
settings.register_profile("quickspine", deadline=None)
settings.load_profile("quickspine")

MakeParams = Callable[..., Params]


def pytest_collection_finish() -> None:
    """What the imports made stays to the end: no search for garbage need go through it.

    With TensorFlow, MLflow and all that they bring such a search takes a quarter of a second;
    statsmodels asks for one in every correction of p-values, Keras in every new session.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def params() -> Params:
    """The params.yaml of the project."""
    return load(ROOT / "params.yaml")


@pytest.fixture(scope="session")
def make_params(params: Params) -> MakeParams:
    """Makes the project's params with other values, by dotted key: `{"data.seed": 2}`."""

    def make(overrides: dict[str, Any]) -> Params:
        values = params.model_dump()
        for key, value in overrides.items():
            *sections, name = key.split(".")
            section = values
            for part in sections:
                section = section[part]
            section[name] = value
        return Params.model_validate(values)

    return make
