"""JPEG and PNG files of every kind: what is kept of them is what TensorFlow will show."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from quickspine.sources.image_file import ImageError, check, decode

HEIGHT, WIDTH = 24, 40
TOLERANCE = 4  # grey values: two decoders of JPEG round and interpolate colours each in its way


def smooth(channels: int) -> NDArray[np.uint8]:
    """Slopes, which JPEG keeps: uint8 [HEIGHT, WIDTH, channels]."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    slopes = [4 * rows + 2 * columns, 200 - 3 * rows, 6 * columns, 4 * columns + 2 * rows]
    return np.stack(slopes[:channels], axis=2).astype(np.uint8)


RGB = Image.fromarray(smooth(3))
GREY = RGB.convert("L")
RGBA = Image.fromarray(smooth(4))
DEEP = Image.fromarray(np.asarray(GREY).astype(np.uint16) * 256 + 255)  # 16 bits


def file(picture: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def over_white(picture: Image.Image) -> NDArray[np.uint8]:
    """Transparent parts over white, by their formula."""
    values = np.asarray(picture.convert("RGBA")).astype(float)
    alpha = values[..., 3:] / 255
    return np.rint(values[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)


LA = Image.merge("LA", (GREY, RGBA.getchannel("A")))
OPAQUE = RGB.convert("RGBA")
# The file; whether it is kept as it came; channels; what it shows, as RGB.
FILES: dict[str, tuple[bytes, bool, int, Any]] = {
    "jpeg": (file(RGB, "JPEG"), True, 3, RGB),
    "progressive": (file(RGB, "JPEG", progressive=True), True, 3, RGB),
    "grey jpeg": (file(GREY, "JPEG"), True, 1, GREY),
    "cmyk": (file(RGB.convert("CMYK"), "JPEG"), False, 3, RGB),
    "of two pictures": (file(RGB, "MPO", save_all=True, append_images=[GREY]), True, 3, RGB),
    "a tail": (file(RGB, "JPEG") + b"tail \xff\xda", True, 3, RGB),
    "png": (file(RGB), True, 3, RGB),
    "grey": (file(GREY), True, 1, GREY),
    "one bit": (file(GREY.convert("1")), True, 1, GREY.convert("1")),
    "palette": (file(RGB.quantize(16), bits=4), True, 3, RGB.quantize(16)),
    "16 bits": (file(DEEP), True, 1, GREY),
    "opaque": (file(OPAQUE), True, 3, RGB),
    "animated": (file(RGB, save_all=True, append_images=[GREY.convert("RGB")]), True, 3, RGB),
    "alpha": (file(RGBA), False, 3, over_white(RGBA)),
    "grey with alpha": (file(LA), False, 1, over_white(LA)),
    "a transparent colour": (
        file(RGB.quantize(16), transparency=3),
        False,
        3,
        over_white(Image.open(io.BytesIO(file(RGB.quantize(16), transparency=3)))),
    ),
    **{
        f"turned {way}": (
            file(RGB, "JPEG", exif=turned(way), quality=95),
            way == 1,
            3,
            ImageOps.exif_transpose(Image.open(io.BytesIO(file(RGB, exif=turned(way))))),
        )
        for way in range(1, 9)
    },
    "turned png": (
        file(GREY, exif=turned(6)),
        False,
        1,
        GREY.transpose(Image.Transpose.ROTATE_270),
    ),
    "turned nowhere": (file(RGB, "JPEG", exif=turned(9)), True, 3, RGB),
    "damaged exif": (file(RGB, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff"), True, 3, RGB),
}


def distance(left: Any, right: Any) -> int:
    """The largest difference of two grey values; images of different shapes raise."""
    return int(np.abs(np.asarray(left).astype(int) - np.asarray(right).astype(int)).max())


def shown_by_tensorflow(content: bytes) -> NDArray[np.uint8]:
    """What the input pipeline makes of a file, uint8 [height, width, 3]."""
    import tensorflow as tf

    decoded: NDArray[np.uint8] = tf.io.decode_image(
        content, channels=3, expand_animations=False
    ).numpy()
    return decoded


@pytest.mark.parametrize("name", FILES)
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")
def test_what_is_kept_is_what_is_shown(name: str) -> None:
    content, as_it_came, channels, shows = FILES[name]
    expected = np.asarray(shows if isinstance(shows, np.ndarray) else shows.convert("RGB"))
    raw = decode(content)
    assert raw.shape == (*expected.shape[:2], channels)
    assert raw.dtype == np.uint8
    tolerance = 0 if content.startswith(b"\x89PNG") and "alpha" not in name else 12
    assert distance(np.broadcast_to(raw, expected.shape), expected) <= tolerance
    now = check(content)
    assert (now == content) == as_it_came
    decoded = shown_by_tensorflow(now)
    assert distance(decoded, np.broadcast_to(raw, expected.shape)) <= (
        TOLERANCE if now.startswith(b"\xff\xd8") else 0
    )


def chunk(name: bytes, content: bytes) -> bytes:
    crc = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + crc


def bomb(side: int) -> bytes:
    """A PNG file of a few bytes that promises side × side pixels."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(bytes(1 << 16)))
    return b"\x89PNG\r\n\x1a\n" + head + data + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [8193, 10_000, 100_000])
def test_bombs_are_not_set_off(side: int) -> None:
    for read in (check, decode):
        with pytest.raises(ImageError, match=f"{side}×{side} pixels, more than 67,108,864"):  # noqa: RUF001
            read(bomb(side))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "an empty file"),
        (b"<html>", "neither JPEG nor PNG: a web page (HTML)"),
        (b"what?", "neither JPEG nor PNG: a file that starts with b'what?'"),
        (file(RGB, "GIF"), "a GIF file"),
        (file(RGB, "BMP"), "a BMP file"),
        (file(RGB, "TIFF"), "a TIFF file"),
        (b"RIFF\0\0\0\0WEBP", "a WebP file"),
        (file(GREY, "JPEG")[:-2], "cut off before its end"),  # Pillow alone would take it
        (file(RGB, "JPEG")[:-9], "cut off before its end"),
        (file(RGB)[:-12], "cut off before its end"),
        (file(RGB)[:-1] + b"?", "cut off before its end"),
        (file(RGB).replace(b"IDAT", b"IDAt"), "damaged: "),
        (b"\xff\xd8\xff\xd9", "damaged: "),
    ],
)
def test_others_are_refused(content: bytes, why: str) -> None:
    for read in (check, decode):
        with pytest.raises(ImageError) as caught:
            read(content)
        assert why in str(caught.value)


WHOLE = [FILES[name][0] for name in ("jpeg", "progressive", "grey jpeg", "png", "palette")]


@given(st.sampled_from(WHOLE), st.data())
def test_no_beginning_of_a_file_passes_for_it(whole: bytes, data: st.DataObject) -> None:
    cut = whole[: data.draw(st.integers(0, len(whole) - 2))]
    for read in (check, decode):
        with pytest.raises(ImageError):
            read(cut)


@settings(max_examples=300)
@given(st.sampled_from(WHOLE), st.data())
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damage_is_an_error_or_harmless(whole: bytes, data: st.DataObject) -> None:
    """No other exception, and of PNG, which has checksums, never another image."""
    content = bytearray(whole)
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    try:
        found = decode(bytes(content))
    except ImageError:
        return
    if whole.startswith(b"\x89PNG"):
        assert np.array_equal(found, decode(whole))
    else:
        assert found.dtype == np.uint8
