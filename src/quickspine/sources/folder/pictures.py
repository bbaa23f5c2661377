"""One JPEG or PNG file, judged and decoded: broken ones are found now, not epochs later.

What is kept for later is decoded by TensorFlow, which knows neither EXIF's orientation nor
transparency: such files are kept as PNG of what they show.
"""

from __future__ import annotations

import io
import re
import threading
from contextlib import nullcontext

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from quickspine.sources.storage.writing import Kind

MAX_BYTES = 64 << 20  # of a file
MAX_PIXELS = 1 << 26  # of an image: 67 million, 200 MB once decoded
LARGE = 1 << 22  # pixels: images of more are decoded one at a time, so that memory stays small

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"  # the last chunk, with its checksum
_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])", re.DOTALL)  # but for those inside of data
_END_OF_IMAGE = b"\xd9"
_OTHERS = {b"GIF8": "GIF", b"BM": "BMP", b"RIFF": "WebP", b"II*\0": "TIFF", b"MM\0*": "TIFF"}

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


class PictureError(Exception):
    """No image that can be used; says why."""


def pixels(content: bytes) -> NDArray[np.uint8]:
    """Decode a JPEG or PNG file.

    Returns:
        uint8 [height, width, 1] where the file is grey, [height, width, 3] where it has colours:
        upright by its EXIF orientation, transparent parts over white, 16 bits cut to the upper 8.

    Raises:
        PictureError: if it is neither, is damaged, or has more than `MAX_PIXELS`.
    """
    image = _opened(content)
    with _one_of_few(image):
        plain = np.asarray(_plain(image, _orientation(image)))
    return plain.reshape(*plain.shape[:2], -1)


def kept(content: bytes) -> tuple[bytes, Kind]:
    """The file to keep of a JPEG or PNG file, decoded once to see that it can be.

    Returns:
        The same bytes; a PNG file of what is shown where TensorFlow would show something else:
        where EXIF turns it, a pixel is transparent, or its colours are CMYK.

    Raises:
        PictureError: as `pixels`.
    """
    image = _opened(content)
    with _one_of_few(image):
        orientation = _orientation(image)
        if isinstance(image, JpegImageFile):
            if orientation == 1 and image.mode in ("L", "RGB"):
                # An eighth of the side is all that is computed, of all the data.
                image.draft(None, (max(1, image.width // 8), max(1, image.height // 8)))
                _load(image)
                return content, "jpg"
        else:
            _load(image)
            if orientation == 1 and not _transparent(image):
                return content, "png"
        buffer = io.BytesIO()
        # Anew from its pixels: nothing else that the file says of itself goes along.
        Image.fromarray(np.asarray(_plain(image, orientation))).save(
            buffer, "PNG", compress_level=1
        )
    return buffer.getvalue(), "png"


def _opened(content: bytes) -> JpegImageFile | PngImageFile:
    """By its first bytes, whatever its name says; nothing is decoded yet."""
    if not content:
        raise PictureError("an empty file")
    jpeg = content.startswith(_JPEG)
    if not jpeg and not content.startswith(_PNG):
        raise PictureError(_told(content))
    if not (_reaches_its_end(content) if jpeg else _PNG_END in content):
        raise PictureError("cut off before its end")
    image: JpegImageFile | PngImageFile
    try:
        if jpeg:
            image = JpegImageFile(io.BytesIO(content))
        else:
            PngImageFile(io.BytesIO(content)).verify()  # the checksums, which decoding ignores
            image = PngImageFile(io.BytesIO(content))
    except MemoryError:
        raise
    except Exception as error:  # of a damaged file Pillow may raise anything
        raise _damaged(error) from None
    if image.width * image.height > MAX_PIXELS:
        told = f"{image.width}×{image.height} pixels"  # noqa: RUF001 (times, not x)
        raise PictureError(f"{told}, more than {MAX_PIXELS:,}")
    return image


def _told(content: bytes) -> str:
    other = next((name for start, name in _OTHERS.items() if content.startswith(start)), None)
    start = f"it starts with {content[:12]!r}"
    return f"neither JPEG nor PNG; {f'a {other} file' if other else start}"


def _reaches_its_end(content: bytes) -> bool:
    """Whether a JPEG file has its end marker, found from segment to segment (ITU-T T.81, B.1)."""
    at = len(_JPEG) - 1
    while found := _MARKER.search(content, at):
        if found[1] == _END_OF_IMAGE:
            return True
        at = found.end() + int.from_bytes(content[found.end() : found.end() + 2], "big")
    return False


def _load(image: JpegImageFile | PngImageFile) -> None:
    try:
        image.load()
    except MemoryError:
        raise
    except Exception as error:
        raise _damaged(error) from None


def _damaged(error: Exception) -> PictureError:
    return PictureError(f"damaged: {str(error) or type(error).__name__:.200}")


def _one_of_few(image: Image.Image) -> threading.Lock | nullcontext[None]:
    return _large_ones if image.width * image.height > LARGE else nullcontext()


def _orientation(image: JpegImageFile | PngImageFile) -> int:
    """1 to 8; 1, upright, where the file says nothing that can be read."""
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except MemoryError:
        raise
    except Exception:  # damaged EXIF damages no image
        return 1
    return found if found in _UPRIGHT else 1


def _plain(image: JpegImageFile | PngImageFile, orientation: int) -> Image.Image:
    """8 bits grey (mode L) or RGB, upright, opaque."""
    _load(image)
    mode = "L" if image.mode in _GREY else "RGB"
    plain: Image.Image = image
    if image.mode.startswith("I"):  # 16 bits, which `convert` would clip
        plain = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif _transparent(image):
        plain = Image.new("RGBA", image.size, "white")
        plain.alpha_composite(image.convert("RGBA"))
        plain = plain.convert("RGB")
    plain = plain.convert(mode)
    return plain.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else plain


def _transparent(image: Image.Image) -> bool:
    """Whether any pixel lets something through."""
    if image.mode.startswith("I") or not image.has_transparency_data:
        return False
    return bool(image.convert("RGBA").getchannel("A").getextrema()[0] != 255)
