"""Recording a journal, live or later: however often the store fails on the way."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quickspine.params import Tracking
from quickspine.tracking.delivery import Delivery
from quickspine.tracking.found import DeletedError
from quickspine.tracking.pending import (
    BusyError,
    Claimed,
    claimed,
    pending,
    sweep_partial,
    write_state,
)
from quickspine.tracking.quiet import brief
from quickspine.tracking.sampling import Sampling
from quickspine.tracking.stale import sweep_store
from quickspine.tracking.store import SQLITE, Store, open_store, store_uri

POLL_S = 0.2  # between two looks into the journal
PAUSES_S = (0.5, 1.0, 2.0, 5.0, 15.0, 30.0)  # after the first, second, … fault in a row
LAST_PAUSE_S = 1.0  # once the run has ended
TRIES_AT_END = 2  # then a fault that lasts is left to `make sync`


@dataclass
class Outcome:
    """What became of a journal: `left` says why it stays; `refused`, what MLflow never takes."""

    run_id: str | None = None
    model_id: str | None = None
    left: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


class Recording:
    """One journal on its way into the store, until all of it is there."""

    def __init__(
        self,
        journal: Claimed,
        tracking: Tracking,
        root: Path,
        ended: threading.Event,
        sampling_s: float | None = None,
        first: Callable[[Store], None] = lambda store: None,
    ) -> None:
        """Prepare.

        Args:
            journal: to be recorded.
            tracking: the section of the params.
            root: the project.
            ended: set when nothing will be added to the journal.
            sampling_s: seconds between samples of system metrics; none where None.
            first: done once in the open store, before the run.
        """
        self._journal, self._tracking, self._root = journal, tracking, root
        self._ended, self._first = ended, first
        self._sampling = Sampling(store_uri(tracking, root), sampling_s)
        self._entries: list[dict[str, Any]] = []
        self._delivery: Delivery | None = None
        self._store: Store | None = None
        self._done = 0  # entries recorded
        self.end: Mapping[str, Any] | None = None  # in case the journal does not tell it

    def run(self) -> Outcome:
        """Until all is recorded, and the journal removed; or, after the end, a fault lasts."""
        faults, tries = 0, 0
        while True:
            ended = self._ended.is_set()  # before reading: all is there if it is
            tries += ended
            try:
                outcome = self._advance(ended)
                if outcome is not None:
                    return outcome
                faults = 0
                if tries > TRIES_AT_END:
                    return self._outcome(left=["the store loses what it was given"])
            except DeletedError as error:
                self._journal.remove()
                return self._outcome(refused=[str(error)])
            except Exception as error:
                fault = brief(error, store_uri(self._tracking, self._root))
                self._store, faults = None, faults + 1
                self._tell(fault)
                if ended and tries >= TRIES_AT_END:
                    return self._outcome(left=[fault])
            pause = PAUSES_S[min(faults, len(PAUSES_S)) - 1] if faults else POLL_S
            if not ended:
                self._ended.wait(pause)
            elif faults:
                time.sleep(min(pause, LAST_PAUSE_S))

    def _advance(self, ended: bool) -> Outcome | None:
        self._read(ended)
        delivery = self._open()
        last = self._entries[-1]["kind"] == "end"
        if last:
            self._sampling.stop()
        before = self._done
        for count in delivery.send(self._entries[before:]):
            self._done = before + count
            self._tell(None)
        if not last:
            self._sampling.keep_on(delivery.run_id)
            return None
        if delivery.run_id is not None and not self._still_there(delivery):
            self._delivery, self._done = None, 0
            return None
        left = delivery.finish()
        if not left:
            self._journal.remove()
        return self._outcome(left=left)

    def _read(self, ended: bool) -> None:
        self._entries += self._journal.read()
        if not self._entries:
            raise ValueError("the journal is damaged: it has no first entry")
        if ended and self._entries[-1]["kind"] != "end":
            time_ms = self._entries[-1]["time_ms"]
            self._entries.append(
                dict(self.end or {"kind": "end", "time_ms": time_ms, "status": "KILLED"})
            )

    def _open(self) -> Delivery:
        """The delivery in an open store; after a fault, where it was, if that is still there."""
        if self._store is not None and self._delivery is not None:
            return self._delivery
        begin = self._entries[0]
        named = self._tracking.model_copy(update={"experiment": begin["experiment"]})
        store = open_store(named, self._root)
        self._first(store)
        self._first = lambda store: None
        old, new = self._delivery, Delivery(store, self._journal.folder, self._root)
        if old is not None and old.move(store, begin):
            new = old
        else:
            self._done = 0
        self._store, self._delivery = store, new
        return new

    def _still_there(self, delivery: Delivery) -> bool:
        """Whether the run is in the store that others see, and is one.

        A deleted SQLite file goes on to take what is written by those who have it open.
        """
        begin, store = self._entries[0], self._store
        if store is None or store.uri.startswith(SQLITE):
            named = self._tracking.model_copy(update={"experiment": begin["experiment"]})
            store = open_store(named, self._root)
        self._store = store
        return delivery.move(store, begin)

    def _tell(self, fault: str | None) -> None:
        found = self._delivery
        state = {
            "delivered": self._done,
            "run_id": found.run_id if found else None,
            "model_id": found.model_id if found else None,
            "fault": fault,
        }
        write_state(self._journal.folder, state)

    def _outcome(self, left: list[str] | None = None, refused: list[str] | None = None) -> Outcome:
        found = self._delivery
        if found is None:
            return Outcome(left=left or [], refused=refused or [])
        return Outcome(found.run_id, found.model_id, left or [], [*found.refused, *(refused or [])])


def close_earlier(tracking: Tracking, root: Path, store: Store) -> None:
    """Close what kills left: runs that are RUNNING, journals of which only the end is missing."""
    sweep_partial(root)
    sweep_store(store, root)
    for old in pending(root):
        if old.delivered and not old.ended and old.left_by_its_process():
            with contextlib.suppress(BusyError, FileNotFoundError), claimed(old.folder) as journal:
                record_left(journal, tracking, root)


def record_left(journal: Claimed, tracking: Tracking, root: Path) -> Outcome:
    """Record a journal to which nothing will be added."""
    ended = threading.Event()
    ended.set()
    return Recording(journal, tracking, root, ended).run()
