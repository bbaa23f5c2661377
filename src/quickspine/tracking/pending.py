"""Journals that wait in `mlruns/pending/`: read, claimed by one process at a time, removed."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quickspine.files import PARTIAL
from quickspine.tracking.journal import LINES, PENDING
from quickspine.tracking.owner import alive
from quickspine.tracking.store import FOLDER

RUN_TAG = "quickspine_run"  # a journal's id at its run in MLflow: found by it, made once
STATE = "state.json"
WAIT_S = 1.0  # for another process's look at the lock, which takes none of it
ABANDONED_S = 3600.0  # a journal half made or half removed for so long has no process any more


class BusyError(Exception):
    """Another process records this journal."""


@dataclass
class Claimed:
    """A journal that this process alone reads on; its lock goes with the process."""

    folder: Path
    handle: int
    offset: int = 0  # bytes read

    def read(self) -> list[dict[str, Any]]:
        """The entries since the last call; half a line, which a kill left, is none.

        Raises:
            ValueError: where a line is damaged.
        """
        self._follow()
        size = os.fstat(self.handle).st_size
        text = os.pread(self.handle, size - self.offset, self.offset)
        text = text[: text.rfind(b"\n") + 1]
        entries = [json.loads(line) for line in text.splitlines()]
        self.offset += len(text)
        return entries

    def remove(self) -> None:
        """All is recorded: remove the folder, and the one around it where it is empty."""
        gone = self.folder.with_name(f"{PARTIAL}{self.folder.name}")
        shutil.rmtree(gone, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):  # so that no half-removed journal is found
            self.folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.folder.parent.rmdir()

    def _follow(self) -> None:
        """Where the file was removed, and its writer began it anew, go on in that one."""
        if os.fstat(self.handle).st_nlink:
            return
        with contextlib.suppress(OSError):
            new = os.open(self.folder / LINES, os.O_RDONLY)
            _locked(new)
            os.dup2(new, self.handle, inheritable=False)
            os.close(new)


@dataclass(frozen=True)
class Pending:
    """A journal as one finds it.

    Attributes:
        folder: of the journal.
        begin: its first entry.
        ended: whether it tells its end.
        model_digests: hex sha256 of the models that it holds.
        delivered: whether a relay has recorded all of it, but for an end that it does not tell.
    """

    folder: Path
    begin: dict[str, Any]
    ended: bool
    model_digests: frozenset[str]
    delivered: bool

    @property
    def id(self) -> str:
        """Of the run; the tag `quickspine_run` in MLflow."""
        return self.folder.name

    @property
    def name(self) -> str:
        """Of the run, or of what else it is."""
        return str(self.begin["name"])

    def left_by_its_process(self) -> bool:
        """Whether nothing will be added: it ended, or its process, on this host, is gone."""
        owner = self.begin["owner"]
        return self.ended or (owner["host"] == socket.gethostname() and not alive(owner))

    def waits(self) -> bool:
        """Whether it is for `make sync` to record it: not for a relay, nor for the next start.

        A run that has just ended, and whose relay still starts, looks as if nobody cared for it;
        but its process lives, waits for that relay, and tells what is left itself.
        """
        owner = self.begin["owner"]
        own = owner.get("pid") == str(os.getpid())
        cared_for = not own and owner["host"] == socket.gethostname() and alive(owner)
        closed_at_next_start = self.delivered and not self.ended
        left = self.left_by_its_process() and not cared_for
        return left and not closed_at_next_start and not self.busy()

    def busy(self) -> bool:
        """Whether a process records it at this moment."""
        try:
            with claimed(self.folder, wait_s=0):
                return False
        except (OSError, BusyError):
            return True


@contextlib.contextmanager
def claimed(folder: Path, wait_s: float = WAIT_S) -> Iterator[Claimed]:
    """Be the one process that records this journal.

    Raises:
        BusyError: another one does.
        FileNotFoundError: it is no longer there.
    """
    handle = os.open(folder / LINES, os.O_RDONLY)
    try:
        deadline = time.monotonic() + wait_s
        while not _locked(handle):
            if time.monotonic() >= deadline:
                raise BusyError("another process records it at this moment")
            time.sleep(0.05)
        (folder / LINES).stat()  # who held it may have removed it in between
        yield Claimed(folder, handle)
    finally:
        os.close(handle)


def pending(root: Path) -> list[Pending]:
    """The journals of a project, oldest first; what cannot be read has a name that says so."""
    place = root / FOLDER / PENDING
    with contextlib.suppress(OSError):
        found = [_look(p) for p in place.iterdir() if not p.name.startswith(".") and p.is_dir()]
        return sorted(filter(None, found), key=lambda p: (p.begin["time_ms"], p.id))
    return []


def sweep_partial(root: Path) -> None:
    """Remove what a kill left of journals half made or half removed."""
    with contextlib.suppress(OSError):
        for left in (root / FOLDER / PENDING).glob(f"{PARTIAL}*"):
            if time.time() - left.stat().st_mtime > ABANDONED_S:
                shutil.rmtree(left, ignore_errors=True)


def read_state(folder: Path) -> dict[str, Any]:
    """What the relay of a journal told last; empty where it told nothing."""
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def write_state(folder: Path, state: dict[str, Any]) -> None:
    """Tell how far it came; without it nothing is lost, only repeated."""
    partial = folder / f"{PARTIAL}{STATE}"
    with contextlib.suppress(OSError):
        partial.write_text(json.dumps(state), encoding="utf-8")
        partial.replace(folder / STATE)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _look(folder: Path) -> Pending | None:
    try:
        text = (folder / LINES).read_bytes()
    except FileNotFoundError:  # removed this moment
        return None
    lines = text[: text.rfind(b"\n") + 1].splitlines()
    try:
        entries = [json.loads(line) for line in lines]
        begin = {**entries[0], "owner": dict(entries[0]["owner"])}
        begin["name"], begin["time_ms"], begin["owner"]["host"]
    except (ValueError, LookupError, TypeError):
        damaged = {"name": "a damaged journal", "time_ms": 0, "owner": {"host": ""}}
        return Pending(folder, damaged, True, frozenset(), False)
    models = frozenset(e["digests"][""] for e in entries if e["kind"] == "model")
    delivered = read_state(folder).get("delivered") == len(lines)
    return Pending(folder, begin, entries[-1]["kind"] == "end", models, delivered)
