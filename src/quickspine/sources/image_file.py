"""Check and decode JPEG and PNG files at fetch, so that broken ones are found before training.

Files are decoded by TensorFlow later, which knows neither EXIF's orientation nor transparency:
such files are stored as PNG of what they show. So are JPEG files that libjpeg warns of, such as
"Corrupt JPEG data: 8 extraneous bytes": it prints that at every read, without the file's name.
"""

from __future__ import annotations

import importlib
import io
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from quickspine.console import start_tensorflow
from quickspine.parallel import cores
from quickspine.sources.file_types import JPEG, PNG, describe_content
from quickspine.sources.selection import shorten

MAX_BYTES = 64 << 20  # of a file
MAX_PIXELS = 1 << 26  # of an image: 67 million, 200 MB once decoded
LARGE = 1 << 22  # pixels: images of more are decoded one at a time, so that memory stays small
TOGETHER = 16  # JPEG files decoded at once: their warnings cannot be told apart, but are rare

_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"  # the last chunk, with its checksum
_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])", re.DOTALL)  # but for those inside of data
_END_OF_IMAGE = b"\xd9"

_ORIENTATION = 0x0112  # EXIF's tag: how the camera was held
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_GREY = ("1", "L", "LA", "I;16", "I")

_large_ones = threading.Lock()


class ImageError(Exception):
    """A file that is not an image that can be used; says why."""


def decode(content: bytes) -> NDArray[np.uint8]:
    """Decode a JPEG or PNG file.

    Returns:
        uint8 [height, width, 1] where the file is grey, [height, width, 3] where it has colours:
        upright by its EXIF orientation, transparent parts over white, 16 bits cut to the upper 8.

    Raises:
        ImageError: if it is neither, is damaged, or has more than `MAX_PIXELS`.
    """
    image = _open(content)
    with _limit_memory(image):
        plain = np.asarray(_plain(image, _orientation(image)))
    return plain.reshape(*plain.shape[:2], -1)


def check(content: bytes) -> bytes:
    """Decode a JPEG or PNG file to see that it is whole, and return the file to store.

    Returns:
        The same bytes; a PNG file of what is shown where TensorFlow would show something else:
        where EXIF turns it, a pixel is transparent, or its colours are CMYK.

    Raises:
        ImageError: as `decode`.
    """
    image = _open(content)
    with _limit_memory(image):
        orientation = _orientation(image)
        if isinstance(image, JpegImageFile):
            if orientation == 1 and image.mode in ("L", "RGB"):
                # All data is read, but only an eighth of the side is computed.
                image.draft(None, (max(1, image.width // 8), max(1, image.height // 8)))
                _load(image)
                return content
        else:
            _load(image)
            if orientation == 1 and not _is_transparent(image):
                return content
        return _to_png(_plain(image, orientation))


def reencode_corrupt(contents: Sequence[bytes]) -> tuple[list[bytes], dict[int, str]]:
    """Replace JPEG files that libjpeg warns of by PNG files of what they show.

    They are found by TensorFlow's own decoder, which will read them.

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
        image = _open(files[index])
        with _limit_memory(image):
            files[index] = _to_png(_plain(image, _orientation(image)))
    return files, found


def print_corrupt(damaged: Sequence[str]) -> None:
    """Print the names and warnings of the JPEG files that were replaced."""
    if damaged:
        line = f"fetch: {len(damaged):,} damaged JPEG files are stored as PNG of what they show"
        print("\n  ".join([line, *shorten(damaged)]), file=sys.stderr)


def _warning(jpegs: list[bytes]) -> str:
    """Decode some files; return what is printed meanwhile, or why one cannot be decoded."""
    start_tensorflow()
    tensorflow = importlib.import_module("tensorflow")

    def decode(content: bytes) -> str:
        try:  # all data is read, but only an eighth of the side is computed
            tensorflow.io.decode_jpeg(content, channels=3, ratio=8)
        except tensorflow.errors.InvalidArgumentError as error:
            return str(error.message)
        return ""

    with tempfile.TemporaryFile() as printed:
        with _stderr_to(printed.fileno()), ThreadPoolExecutor(cores()) as pool:
            errors = list(pool.map(decode, jpegs))
        printed.seek(0)
        lines = "\n".join([*errors, printed.read().decode("utf-8", "replace")]).splitlines()
    return next((line.strip()[:200] for line in lines if line.strip()), "")


@contextmanager
def _stderr_to(handle: int) -> Iterator[None]:
    """Write what native code prints to stderr in this block to an open file."""
    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        terminal = os.dup(2)
    except OSError:  # started without a stderr: nothing can be printed there
        yield
        return
    os.dup2(handle, 2)
    try:
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)


def _to_png(plain: Image.Image) -> bytes:
    buffer = io.BytesIO()
    # Anew from its pixels: nothing else that the file says of itself goes along.
    Image.fromarray(np.asarray(plain)).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _open(content: bytes) -> JpegImageFile | PngImageFile:
    """Open a file by its first bytes, whatever its name says; nothing is decoded yet."""
    is_jpeg = content.startswith(JPEG)
    if not is_jpeg and not content.startswith(PNG):
        raise ImageError(f"neither JPEG nor PNG: {describe_content(content)}")
    if not (_has_end(content) if is_jpeg else _PNG_END in content):
        raise ImageError("cut off before its end")
    with _damage():
        if not is_jpeg:
            PngImageFile(io.BytesIO(content)).verify()  # the checksums, which decoding ignores
        image = (JpegImageFile if is_jpeg else PngImageFile)(io.BytesIO(content))
    if image.width * image.height > MAX_PIXELS:
        size = f"{image.width}×{image.height} pixels"  # noqa: RUF001 (times, not x)
        raise ImageError(f"{size}, more than {MAX_PIXELS:,}")
    return image


def _has_end(content: bytes) -> bool:
    """Find a JPEG file's end marker, from segment to segment (ITU-T T.81, B.1)."""
    at = len(JPEG) - 1
    while found := _MARKER.search(content, at):
        if found[1] == _END_OF_IMAGE:
            return True
        at = found.end() + int.from_bytes(content[found.end() : found.end() + 2], "big")
    return False


@contextmanager
def _damage() -> Iterator[None]:
    """Raise ImageError instead of the anything that Pillow may raise of a damaged file."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        raise ImageError(f"damaged: {str(error) or type(error).__name__:.200}") from None


def _load(image: JpegImageFile | PngImageFile) -> None:
    with _damage():
        image.load()


def _limit_memory(image: Image.Image) -> threading.Lock | nullcontext[None]:
    return _large_ones if image.width * image.height > LARGE else nullcontext()


def _orientation(image: JpegImageFile | PngImageFile) -> int:
    """Return EXIF's orientation, 1 (upright) to 8; 1 where nothing can be read."""
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except MemoryError:
        raise
    except Exception:  # damaged EXIF damages no image
        return 1
    return found if found in _UPRIGHT else 1


def _plain(image: JpegImageFile | PngImageFile, orientation: int) -> Image.Image:
    """Convert to 8 bits grey (mode L) or RGB, upright and opaque."""
    _load(image)
    mode = "L" if image.mode in _GREY else "RGB"
    plain: Image.Image = image
    if image.mode.startswith("I"):  # 16 bits, which `convert` would clip
        plain = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif _is_transparent(image):
        plain = Image.new("RGBA", image.size, "white")
        plain.alpha_composite(image.convert("RGBA"))
        plain = plain.convert("RGB")
    plain = plain.convert(mode)
    return plain.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else plain


def _is_transparent(image: Image.Image) -> bool:
    if image.mode.startswith("I") or not image.has_transparency_data:
        return False
    return bool(image.convert("RGBA").getchannel("A").getextrema()[0] != 255)
