"""Image files of a category as they came, in a zip archive that `sources.writing` wrote."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from quickspine.dataset.prepare.content import DIGEST_BYTES
from quickspine.errors import InputError
from quickspine.sources.storage.category_file import CategoryFile, Hash
from quickspine.sources.storage.writing import Kind


@dataclass(frozen=True)
class PictureFile(CategoryFile):
    """Images as JPEG and PNG files."""

    def check_rows(self) -> None:
        with opened(self.path, self.rows, "fetch"):
            pass

    def digests(self, start: int, stop: int, hashed: Hash) -> NDArray[np.uint64]:
        joined = b"".join(
            hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()
            for content in self.contents(range(start, stop))
        )
        return np.frombuffer(joined, "<u8").reshape(-1, 2).astype(np.uint64, copy=False)

    def contents(self, rows: Iterable[int]) -> Iterator[bytes]:
        """Yield the bytes of these images."""
        with opened(self.path, self.rows, "fetch") as archive:
            names = archive.namelist()
            for row in rows:
                yield archive.read(names[row])


@contextmanager
def opened(path: Path, rows: int, made_by: str) -> Iterator[zipfile.ZipFile]:
    """An archive of so many images.

    Args:
        path: the archive.
        rows: how many images the manifest says there are.
        made_by: the stage to run again where it is anything else.

    Raises:
        InputError: if it is anything else, now or when it is read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if len(archive.namelist()) != rows:
                raise ValueError(f"{len(archive.namelist())} images, {rows} in the manifest")
            yield archive
    # zipfile raises the last one for a packing that it does not know.
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
        raise InputError(f"{path}: {error!s:.200}; run: dvc repro -f {made_by}") from None


def kind_of(content: bytes) -> Kind:
    """The ending of an image file by its first bytes: jpg or png."""
    return "png" if content.startswith(b"\x89PNG") else "jpg"


def thumbnails(contents: Iterable[bytes], side: int) -> NDArray[np.uint8]:
    """Images squeezed to squares, as training squeezes them: uint8 [n, side, side, 3]."""
    found = []
    for content in contents:
        with Image.open(io.BytesIO(content)) as picture:
            small = picture.convert("RGB").resize((side, side))
        found.append(np.asarray(small))
    return np.stack(found) if found else np.empty((0, side, side, 3), np.uint8)
