"""The beginning of a remote file on disk, kept from one try to the next."""

from __future__ import annotations

import contextlib
import os
from dataclasses import asdict
from pathlib import Path

from quickspine.errors import InputError
from quickspine.files import read_json, write_json
from quickspine.sources.reply import Version


class Partial:
    """The beginning of a remote file on disk, and the version that it belongs to.

    `<place>.part` holds the body after `reserve` free bytes, so that another head can be put
    before it without a copy; `<place>.json` holds the version and the head, and is written first.
    """

    def __init__(self, place: Path, reserve: int) -> None:
        self.body = place.with_name(f"{place.name}.part")
        self.note = place.with_name(f"{place.name}.json")
        self.reserve = reserve
        self.version, self.head = Version(), b""
        with contextlib.suppress(InputError, KeyError, TypeError, ValueError):
            note = read_json(self.note, "fetch")
            self.version, self.head = Version(**note["version"]), bytes.fromhex(note["head"])
        if not self.body.exists() or self.body.stat().st_size < reserve:
            self.discard()  # killed between the note and the body

    @property
    def have(self) -> int:
        """Bytes of the body that are here."""
        return max(0, self.body.stat().st_size - self.reserve) if self.body.exists() else 0

    def begin(self, version: Version, head: bytes) -> None:
        """Start anew; only then may bytes of `version` be appended."""
        self.discard()
        write_json(self.note, {"version": asdict(version), "head": head.hex()})
        self.version, self.head = version, head
        self.body.write_bytes(bytes(self.reserve))

    def keep(self, size: int) -> None:
        """Shorten the body to at most `size` bytes."""
        if self.have > size:
            with self.body.open("r+b") as file:
                file.truncate(self.reserve + size)

    def seal(self, head: bytes) -> None:
        """Put `head`, of `reserve` bytes, before the body: then `body` is a file of its own.

        It is on the disk, not on its way there, before anything else becomes of it.
        """
        with self.body.open("r+b") as file:
            file.write(head)
            file.flush()
            os.fsync(file.fileno())

    def discard(self) -> None:
        """Forget it all."""
        self.body.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)
        self.version, self.head = Version(), b""
