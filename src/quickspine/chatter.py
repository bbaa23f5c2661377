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
    sys.stderr.flush()
    try:
        terminal = os.dup(2)
    except OSError:  # started without a stderr
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(terminal, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)


def start_tensorflow() -> None:
    """Import TensorFlow (seconds) and let it find its devices, without a dozen lines about it.

    On a machine with an NVIDIA driver the lines are shown: they tell why a GPU is not used.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    told = shutil.which("nvidia-smi") is not None or "tensorflow" in sys.modules
    with contextlib.nullcontext() if told else held_back():
        importlib.import_module("tensorflow").config.list_physical_devices()
