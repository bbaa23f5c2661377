from __future__ import annotations

import importlib.metadata
import platform
import re

from quickspine.evaluation import surroundings


def test_what_the_models_were_measured_on() -> None:
    found = surroundings.surroundings()
    assert list(found)[:2] == ["device", "Python"]
    assert found["device"]
    assert found["Python"] == platform.python_version()
    for name in surroundings.SHOWN:
        assert found[name] == importlib.metadata.version(name)


def test_nothing_in_it_changes_from_run_to_run() -> None:
    found = surroundings.surroundings()
    assert found == surroundings.surroundings()
    told = " ".join(found.values())
    assert not re.search(r"\b20\d\d-\d\d-\d\d\b|(?:^|\s)/\w|\b[0-9a-f]{40}\b", told)
