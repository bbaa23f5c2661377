"""The journal of a run: one JSON line an entry, in `mlruns/pending/<id>/`.

MLflow learns of a run from its journal alone, during the run or days later, so a store that is
locked, down or gone costs only time: the journal waits until `make sync`.

    mlruns/pending/<id>/journal.jsonl   the entries; locked (flock) by the run's process, so the
                                        lock tells from anywhere whether the run still goes on
    mlruns/pending/<id>/files/<n>/…     the model and the artifacts, as they were when logged
    mlruns/pending/<id>/delivery.lock   locked by the one process that delivers it
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import socket
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quickspine.files import PARTIAL
from quickspine.tracking.store import FOLDER

PENDING = "pending"
LINES = "journal.jsonl"
FILES = "files"
LOCK = "delivery.lock"
WAIT_S = 1.0  # for a delivery lock that another process only tests

Entry = Mapping[str, Any]


class BusyError(Exception):
    """Another process delivers this journal."""


def now_ms() -> int:
    """Milliseconds since 1970, MLflow's unit of time."""
    return int(time.time() * 1000)


class Journal:
    """The journal of one run, for writing; only the process of the run writes it.

    Each entry reaches the operating system at once, so a kill loses none. An entry that cannot be
    written (full disk) is held in memory and tried again with the next one.
    """

    def __init__(self, root: Path, begin: Entry) -> None:
        """Create the folder with its first entry, whole or not at all, and lock it.

        Args:
            root: the project.
            begin: the first entry without kind, id and time.

        Raises:
            OSError: where it cannot be created.
        """
        self.id = uuid.uuid4().hex
        self.folder = root / FOLDER / PENDING / self.id
        self._files = 0
        self._unwritten: list[bytes] = []
        partial = self.folder.with_name(f"{PARTIAL}{self.id}")
        partial.mkdir(parents=True)
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
            self._handle = os.open(partial / LINES, flags, 0o666)
            _lock(self._handle)
            _write(self._handle, _line("begin", {**begin, "id": self.id}))
            partial.rename(self.folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise

    def append(self, kind: str, **entry: Any) -> None:
        """Add an entry.

        Raises:
            OSError: where it cannot be written now; the next call tries again.
            ValueError, TypeError: where it cannot be serialised as JSON.
        """
        self._unwritten.append(_line(kind, entry))
        while self._unwritten:
            _write(self._handle, self._unwritten[0])
            del self._unwritten[0]

    def keep(self, path: Path, link: bool = False) -> str:
        """Keep a file, or a folder's contents, as they are now.

        Args:
            path: the file or folder.
            link: True for a file that is never changed in place: a hard link takes no space.

        Returns:
            Its path below the journal's folder.

        Raises:
            OSError, shutil.Error: where it cannot be read or kept.
        """
        self._files += 1
        kept = self.folder / FILES / str(self._files) / path.name
        kept.parent.mkdir(parents=True)
        try:
            if path.is_dir():
                shutil.copytree(path, kept)
            elif not (link and _linked(path, kept)):
                shutil.copyfile(path, kept)
        except BaseException:
            shutil.rmtree(kept.parent, ignore_errors=True)
            raise
        return kept.relative_to(self.folder).as_posix()

    def close(self) -> None:
        """Release the journal."""
        with contextlib.suppress(OSError):
            os.fsync(self._handle)
        os.close(self._handle)


class Claimed:
    """A journal that this process alone delivers."""

    def __init__(self, folder: Path, handle: int) -> None:
        self.folder = folder
        self._handle = handle
        self._offset = 0  # bytes read

    def read(self) -> list[dict[str, Any]]:
        """Read the entries since the last call, but for a line half written.

        Raises:
            ValueError: where a line is damaged.
        """
        size = os.fstat(self._handle).st_size
        text = os.pread(self._handle, size - self._offset, self._offset)
        text = text[: text.rfind(b"\n") + 1]
        entries = [json.loads(line) for line in text.splitlines()]
        self._offset += len(text)
        return entries

    def remove(self) -> None:
        """Remove the journal, in one rename, and the folder around it where that is empty."""
        gone = self.folder.with_name(f"{PARTIAL}{self.folder.name}")
        shutil.rmtree(gone, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            self.folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.folder.parent.rmdir()


@contextlib.contextmanager
def claim(folder: Path, wait_s: float = WAIT_S) -> Iterator[Claimed]:
    """Be the one process that delivers this journal.

    Raises:
        BusyError: another process delivers it.
        FileNotFoundError: it no longer exists.
    """
    with contextlib.ExitStack() as stack:
        held = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        stack.callback(os.close, held)
        deadline = time.monotonic() + wait_s
        while not _lock(held):
            if time.monotonic() >= deadline:
                raise BusyError("another process delivers it at this moment")
            time.sleep(0.05)
        handle = os.open(folder / LINES, os.O_RDONLY)  # the holder before may have removed it
        stack.callback(os.close, handle)
        yield Claimed(folder, handle)


@dataclass(frozen=True)
class Waiting:
    """A journal in `mlruns/pending`.

    Attributes:
        folder: of the journal; its name is the run's id, the tag `quickspine_run` in MLflow.
        begin: its first entry.
        ended: whether it holds the end of the run.
        model_digests: hex sha256 of the models in it.
    """

    folder: Path
    begin: dict[str, Any]
    ended: bool
    model_digests: frozenset[str]

    @property
    def name(self) -> str:
        """The run's name and the start of its id."""
        return f"{self.begin['name']} ({self.folder.name[:8]})"

    def is_written(self) -> bool:
        """Whether the run's process still has it open, as far as this machine can know.

        The lock goes with the process, whatever PID namespace that is in and whatever the clocks
        say. Between machines locks are not relied on: a run of another host without an end may
        still go on.
        """
        if not self.ended and self.begin["tags"].get("host") != socket.gethostname():
            return True
        return _is_locked(self.folder / LINES)

    def is_abandoned(self) -> bool:
        """Whether no process writes or delivers it at this moment."""
        return not (self.is_written() or _is_locked(self.folder / LOCK))


def waiting(root: Path) -> list[Waiting]:
    """List the journals of a project, oldest first; a damaged one is named so."""
    folder = root / FOLDER / PENDING
    with contextlib.suppress(OSError):
        journals = [_look(p) for p in folder.iterdir() if not p.name.startswith(".") and p.is_dir()]
        return sorted(filter(None, journals), key=lambda j: (j.begin["time_ms"], j.folder.name))
    return []


def _look(folder: Path) -> Waiting | None:
    try:
        text = (folder / LINES).read_bytes()
    except FileNotFoundError:  # removed this moment
        return None
    try:
        entries = [json.loads(line) for line in text[: text.rfind(b"\n") + 1].splitlines()]
        begin = {**entries[0], "tags": dict(entries[0]["tags"])}
        begin["name"], begin["time_ms"]
        models = frozenset(e["digest"] for e in entries if e["kind"] == "model")
        return Waiting(folder, begin, entries[-1]["kind"] == "end", models)
    except (ValueError, LookupError, TypeError):
        damaged = {"name": "a damaged journal", "time_ms": 0, "tags": {}}
        return Waiting(folder, damaged, True, frozenset())


def _lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_locked(path: Path) -> bool:
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:  # also on a file system without locks: then nothing is known
        return True
    finally:
        os.close(handle)
    return False


def _write(handle: int, line: bytes) -> None:
    good = os.fstat(handle).st_size
    try:
        written = os.write(handle, line)
        while written < len(line):
            written += os.write(handle, line[written:])
    except OSError:
        with contextlib.suppress(OSError):  # the next line must not follow half a line
            os.ftruncate(handle, good)
        raise


def _line(kind: str, entry: Entry) -> bytes:
    text = json.dumps({"kind": kind, "time_ms": now_ms(), **entry}, default=str)
    return text.encode() + b"\n"


def _linked(path: Path, link: Path) -> bool:
    try:
        os.link(path, link)
    except OSError:  # another file system, or one without links
        return False
    return True
