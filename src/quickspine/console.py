"""What reaches the terminal: no start-up chatter, and no failure where it cannot be written."""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from quickspine.errors import InputError


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Buffer what the process writes to stderr, native code included; show it on an error."""
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
        except KeyboardInterrupt:  # a signal to stop says nothing about TensorFlow
            raise
        except BaseException:
            _flush()
            held.seek(0)
            os.write(terminal, held.read())
            raise
        finally:
            _flush()
            os.dup2(terminal, 2)
            os.close(terminal)


class _LossyFile(io.FileIO):
    """A file that ignores write errors (closed pipe, full disk): only log output is lost."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)


def make_output_safe() -> None:
    """Let stdout and stderr ignore write errors and replace what they cannot encode.

    A closed `less`, a full disk behind a log or a console that is not UTF-8 must not end hours of
    training. Streams that somebody replaced are left alone.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or stream is not getattr(sys, f"__{name}__"):
            continue
        buffered = hasattr(stream.buffer, "raw")  # not so with PYTHONUNBUFFERED
        if isinstance(stream.buffer.raw if buffered else stream.buffer, _LossyFile):
            continue
        stream.flush()
        raw = _LossyFile(stream.fileno(), "w", closefd=False)
        text = io.TextIOWrapper(
            io.BufferedWriter(raw),
            encoding=stream.encoding,
            errors="backslashreplace" if name == "stderr" else "replace",
            line_buffering=stream.line_buffering or not buffered or name == "stderr",
        )
        setattr(sys, name, text)
        setattr(sys, f"__{name}__", text)


def _flush() -> None:
    if sys.stderr is not None:
        sys.stderr.flush()


@contextlib.contextmanager
def _hidden(*names: str) -> Iterator[None]:
    """Make packages unimportable in this block, unless they are imported already."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type] # None: no such module
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def import_keras() -> None:
    """Import Keras with the settings that results depend on, whatever the user's keras.json says.

    Raises:
        InputError: if Keras was imported with another backend before.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"
    keras = importlib.import_module("keras")
    if keras.config.backend() != "tensorflow":
        raise InputError(
            f"KERAS_BACKEND: Keras was imported with {keras.config.backend()} before; set "
            "KERAS_BACKEND=tensorflow"
        )
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)


def start_tensorflow() -> None:
    """Import TensorFlow (seconds) and let it find its devices, without a dozen lines about it.

    Keras imports packages that it could plot with where they are installed; without them a third
    of the time is saved. On a machine with an NVIDIA driver the lines are shown, as they tell why
    a GPU is not used.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ["KERAS_BACKEND"] = "tensorflow"  # TensorFlow imports Keras
    shown = shutil.which("nvidia-smi") is not None or "tensorflow" in sys.modules
    with contextlib.nullcontext() if shown else held_back():
        with _hidden("matplotlib", "pandas", "scipy", "sklearn"):
            tensorflow = importlib.import_module("tensorflow")
            import_keras()
        tensorflow.config.list_physical_devices()
    # What the imports made stays: Python's garbage collection need not visit it again and again.
    gc.freeze()
    # A new graph for each model and batch shape is meant here, not worth two warnings an epoch.
    tensorflow.get_logger().setLevel("ERROR")
