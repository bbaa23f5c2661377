"""A .npy file of drawings, read in chunks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from quickspine.errors import InputError
from quickspine.sources.storage.npy import MAX_HEADER, NpyError, parse

CHUNK = 2048  # drawings read at once, so few that they stay in the processor's cache


class Drawings:
    """A .npy file of drawings, read in chunks.

    Read, not mapped: a category of gigabytes takes no address space, and no pages are counted as
    the process's own.

    Args:
        path: the file, uint8 [rows, pixels] in C order.
        rows: how many drawings the manifest says there are.
        pixels: of a drawing.
        made_by: the stage to run again where the file is anything else.

    Raises:
        InputError: if it is anything else, now or when it is read.
    """

    def __init__(self, path: Path, rows: int, pixels: int, made_by: str) -> None:
        self.path, self.rows, self.pixels, self._made_by = path, rows, pixels, made_by
        try:
            with path.open("rb") as file:
                header = parse(file.read(MAX_HEADER), pixels)
            if header is None:
                raise NpyError("it ends in its header")
            size = path.stat().st_size - header.length
        except (OSError, NpyError) as error:
            raise self._wrong(str(error)) from None
        self.start = header.length
        if header.rows != rows:
            raise self._wrong(f"{header.rows} drawings, where the manifest says {rows}")
        if size != rows * pixels:
            raise self._wrong(f"{size} bytes of drawings, where its header says {rows * pixels}")

    def header(self) -> bytes:
        """What stands before the first drawing."""
        with self.path.open("rb") as file:
            return file.read(self.start)

    def chunks(
        self, size: int, limit: int | None = None, first: int = 0
    ) -> Iterator[NDArray[np.uint8]]:
        """Yield drawings `first` to `limit` (None: all), uint8 [up to `size`, pixels] at a time.

        All in the same memory, which new memory each time would cost a tenth of the reading more:
        each is gone once the next one is asked for.
        """
        stop = self.rows if limit is None else min(limit, self.rows)
        room = np.empty((min(size, max(0, stop - first)), self.pixels), np.uint8)
        with self.path.open("rb") as file:
            file.seek(self.start + first * self.pixels)
            for start in range(first, stop, size):
                chunk = room[: stop - start]
                if file.readinto(chunk.data) != chunk.size:
                    raise self._wrong("it became shorter while it was read")
                yield chunk

    def _wrong(self, problem: str) -> InputError:
        return InputError(f"{self.path}: {problem}; run: dvc repro -f {self._made_by}")
