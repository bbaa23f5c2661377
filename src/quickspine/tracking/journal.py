"""What a run logs, written down first: one JSON line an entry, in `mlruns/pending/<id>/`.

MLflow hears of a run from its journal alone, whether it goes on or ended days ago. So a store that
is locked, down or gone costs nothing but time: the journal waits until `make sync`.

    mlruns/pending/<id>/journal.jsonl   the entries; the first one says whose run it is
    mlruns/pending/<id>/files/<n>/…     the model and the artifacts, as they were when logged
    mlruns/pending/<id>/state.json      how far the recording came; a relay writes it
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quickspine.files import PARTIAL, sha256
from quickspine.tracking.store import FOLDER

PENDING = "pending"
LINES = "journal.jsonl"
FILES = "files"
TRIES = 3  # to make a folder in one that others remove whenever it is empty


def now_ms() -> int:
    """Milliseconds since 1970, as MLflow counts them."""
    return int(time.time() * 1000)


class Journal:
    """The journal of one run, while it is written; only the process of the run writes it.

    Each entry is handed to the system at once, so that a kill of the process loses none. What
    cannot be written (a full disk) is held in memory and tried again with the next entry.
    """

    def __init__(self, root: Path, begin: Mapping[str, Any]) -> None:
        """Make the journal's folder with its first entry, whole or not at all.

        Args:
            root: the project.
            begin: the first entry, but for its kind, id and time.

        Raises:
            OSError: where it cannot be made.
        """
        self.id = uuid.uuid4().hex
        self.folder = root / FOLDER / PENDING / self.id
        self._files = 0
        self._unwritten: list[bytes] = []
        self._handle = self._make(_line("begin", {**begin, "id": self.id}))

    def append(self, kind: str, **entry: Any) -> None:
        """Add an entry.

        Raises:
            OSError: where it cannot be written now; the next call tries again.
            ValueError, TypeError: where it is no JSON.
        """
        self._unwritten.append(_line(kind, entry))
        if os.fstat(self._handle).st_nlink == 0:  # someone removed mlruns/: begin a new file
            old, size = self._handle, os.fstat(self._handle).st_size
            self._handle = self._make(os.pread(old, size, 0))
            os.close(old)
        while self._unwritten:
            _write(self._handle, self._unwritten[0])
            del self._unwritten[0]

    def keep(self, path: Path, link: bool = False) -> dict[str, Any]:
        """Keep a file, or a folder's contents, as they are now.

        Args:
            path: what to keep.
            link: True for a file that is never changed in place: a hard link costs no space.

        Returns:
            `file`: its place in the journal's folder; `digests`: hex sha256 by path within it
            (by "" for a file).

        Raises:
            OSError, shutil.Error: where it cannot be read or kept.
        """
        self._files += 1
        place = self.folder / FILES / str(self._files) / path.name
        place.parent.mkdir(parents=True)
        try:
            _copy(path, place, link, self.folder.parent)
            found = sorted(p for p in place.rglob("*") if p.is_file()) if place.is_dir() else []
            digests = {p.relative_to(place).as_posix(): sha256(p) for p in found}
            return {
                "file": place.relative_to(self.folder).as_posix(),
                "digests": digests if place.is_dir() else {"": sha256(place)},
            }
        except BaseException:
            shutil.rmtree(place.parent, ignore_errors=True)
            raise

    def close(self) -> bool:
        """No entries any more; returns whether all of them are written."""
        if self._handle >= 0:
            with contextlib.suppress(OSError):
                os.fsync(self._handle)
            os.close(self._handle)
            self._handle = -1
        return not self._unwritten

    def _make(self, content: bytes) -> int:
        partial = self.folder.with_name(f"{PARTIAL}{self.id}")
        for _ in range(TRIES):
            with contextlib.suppress(FileNotFoundError):
                partial.mkdir(parents=True)
                break
        handle = os.open(partial / LINES, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            _write(handle, content)
            if self.folder.exists():  # only the file was removed
                (partial / LINES).rename(self.folder / LINES)
                partial.rmdir()
            else:
                partial.rename(self.folder)
        except BaseException:
            os.close(handle)
            shutil.rmtree(partial, ignore_errors=True)
            raise
        return handle


def _write(handle: int, line: bytes) -> None:
    good = os.fstat(handle).st_size
    try:
        written = os.write(handle, line)
        while written < len(line):
            written += os.write(handle, line[written:])
    except OSError:
        with contextlib.suppress(OSError):  # half a line would be glued to the next one
            os.ftruncate(handle, good)
        raise


def _line(kind: str, entry: Mapping[str, Any]) -> bytes:
    text = json.dumps({"kind": kind, "time_ms": now_ms(), **entry}, default=str)
    return text.encode() + b"\n"


def _copy(path: Path, place: Path, link: bool, pending: Path) -> None:
    if path.is_dir():

        def left_out(folder: str, names: list[str]) -> set[str]:
            own = Path(folder).resolve() == pending.parent.resolve()
            return {pending.name} & set(names) if own else set()  # a copy into itself never ends

        shutil.copytree(path, place, ignore=left_out)
        return
    if link:
        with contextlib.suppress(OSError):  # another file system, or one without links
            os.link(path, place)
            return
    shutil.copyfile(path, place)
