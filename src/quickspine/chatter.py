"""TensorFlow's start-up chatter, kept from the terminal unless something went wrong."""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Hold what is written to the process's stderr, native code included; show it on an error."""
    try:
        terminal = os.dup(2)
    except OSError:  # started without a stderr, then `sys.stderr` is None
        yield
        return
    _flush()
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(terminal, held.read())
            raise
        finally:
            _flush()
            os.dup2(terminal, 2)
            os.close(terminal)


def _flush() -> None:
    if sys.stderr is not None:
        sys.stderr.flush()


def start_tensorflow() -> None:
    """Import TensorFlow (seconds) and let it find its devices, without a dozen lines about it.

    On a machine with an NVIDIA driver the lines are shown: they tell why a GPU is not used.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    told = shutil.which("nvidia-smi") is not None or "tensorflow" in sys.modules
    with contextlib.nullcontext() if told else held_back():
        tensorflow = importlib.import_module("tensorflow")
        tensorflow.config.list_physical_devices()
    # A new graph for each model and batch shape is meant here, not worth two warnings an epoch.
    tensorflow.get_logger().setLevel("ERROR")
