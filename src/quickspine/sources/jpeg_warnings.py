"""Find JPEG files that libjpeg warns of, such as "Corrupt JPEG data: 8 extraneous bytes".

TensorFlow reads such files, and libjpeg prints that line at every read, without the file's name.
So they are found at fetch, by TensorFlow's own decoder, and stored as PNG.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from quickspine.console import start_tensorflow
from quickspine.parallel import cores
from quickspine.sources.file_types import JPEG
from quickspine.sources.image_file import reencode

TOGETHER = 16  # files decoded at once: their warnings cannot be told apart, but are rare


def reencode_corrupt(contents: Sequence[bytes]) -> tuple[list[bytes], dict[int, str]]:
    """Replace JPEG files that libjpeg warns of by PNG files of what they show.

    Args:
        contents: of JPEG and PNG files, at most about `TOGETHER`.

    Returns:
        The files; and of those replaced, index to the warning.
    """
    files = list(contents)
    jpegs = [index for index, content in enumerate(files) if content.startswith(JPEG)]
    if not jpegs or not _warning([files[index] for index in jpegs]):
        return files, {}
    found = {index: text for index in jpegs if (text := _warning([files[index]]))}
    for index in found:
        files[index] = reencode(files[index])
    return files, found


def _warning(jpegs: list[bytes]) -> str:
    """Decode some files; return what is printed meanwhile, or why one cannot be decoded."""
    start_tensorflow()
    tensorflow = importlib.import_module("tensorflow")

    def decode(content: bytes) -> str:
        try:
            tensorflow.io.decode_jpeg(
                content, channels=3, ratio=8
            )  # all data, an eighth of the side
        except tensorflow.errors.InvalidArgumentError as error:
            return str(error.message)
        return ""

    with _captured_stderr() as printed, ThreadPoolExecutor(cores()) as pool:
        errors = list(pool.map(decode, jpegs))
        lines = "\n".join([*errors, printed()]).splitlines()
    return next((line.strip()[:200] for line in lines if line.strip()), "")


@contextlib.contextmanager
def _captured_stderr() -> Iterator[Callable[[], str]]:
    """Keep what native code prints to stderr in this block; yield a function that returns it."""
    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        terminal = os.dup(2)
    except OSError:  # started without a stderr: nothing can be printed there
        yield lambda: ""
        return
    with tempfile.TemporaryFile() as file:

        def printed() -> str:
            file.seek(0)
            return file.read().decode("utf-8", "replace")

        os.dup2(file.fileno(), 2)
        try:
            yield printed
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
