"""What is written to stderr while TensorFlow starts: held back, and shown where it is needed."""

from __future__ import annotations

import subprocess
import sys

import pytest


def stderr_of(code: str, status: int = 0) -> str:
    """What a process of its own writes to its real stderr; pytest replaces ours."""
    head = "import os, sys\nfrom quickspine.console import held_back\n"
    done = subprocess.run(
        [sys.executable, "-c", head + code],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == status, done.stderr
    return done.stderr


WRITE = """
with held_back():
    print("by Python", file=sys.stderr)
    os.write(2, b"by native code\\n")
    print("unfinished", end="", file=sys.stderr)
"""


def test_what_is_written_is_held_back_and_nothing_else() -> None:
    before = "print('before ', end='', file=sys.stderr)\n"
    assert stderr_of(before + WRITE + "os.write(2, b'after')") == "before after"


@pytest.mark.parametrize(("error", "status"), [("ImportError", 1), ("SystemExit(3)", 3)])
def test_it_is_shown_where_something_goes_wrong(error: str, status: int) -> None:
    written = stderr_of(f"{WRITE}    raise {error}", status)
    assert written.startswith("by Python\nby native code\nunfinished")


def test_no_descriptor_is_left_open() -> None:
    code = "first = os.dup(2); os.close(first)\n" + WRITE * 20
    assert stderr_of(code + "last = os.dup(2)\nassert first == last, (first, last)") == ""


def test_a_process_without_stderr_works_too() -> None:
    code = "from quickspine.console import held_back\nwith held_back(): print('done')"
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, code],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "done\n")


@pytest.mark.slow
def test_tensorflow_starts_without_what_keras_only_plots_with() -> None:
    """And what was hidden from it can be had afterwards, by it and by us."""
    code = """
import sys
from quickspine.console import start_tensorflow
start_tensorflow()
heavy = {"matplotlib", "pandas", "scipy", "sklearn"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
import matplotlib.figure, scipy.stats
assert scipy.stats.norm.cdf(0) == 0.5
import keras
assert keras.layers.Dense(2)(keras.ops.ones((1, 3))).shape == (1, 2)
"""
    stderr_of(code)
