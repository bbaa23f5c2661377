"""Deliver a journal to MLflow, during its run or later, however often the store fails on the way.

After a fault the delivery goes on where it was; what is there already is not made twice.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path

from quickspine.params import Tracking
from quickspine.tracking.journal import BusyError, Claimed, Entry, claim, waiting
from quickspine.tracking.mlflow_setup import brief
from quickspine.tracking.recorder import DeletedError, Outcome, Recorder
from quickspine.tracking.store import store_uri

POLL_S = 0.2  # between two looks into the journal
PAUSES_S = (0.5, 1.0, 2.0, 5.0, 15.0, 30.0)  # after the first, second, … fault in a row
LAST_PAUSE_S = 1.0  # once the run has ended
TRIES_AT_END = 2  # then a fault that lasts is left to `make sync`


def deliver(
    journal: Claimed,
    tracking: Tracking,
    root: Path,
    ended: threading.Event | None = None,
    *,
    end: Entry | None = None,
    sampling_s: float | None = None,
    first: Callable[[], None] = lambda: None,
) -> Outcome:
    """Deliver a journal until all of it is there and it is removed, or a fault lasts.

    Args:
        journal: to be delivered.
        tracking: the section of the params.
        root: the project.
        ended: set when nothing will be added to the journal; None where that is so already.
        end: the last entry, filled in by then, for a journal that could not take it.
        sampling_s: seconds between samples of system metrics; None for no samples.
        first: called once the store could be opened.
    """
    recorder = Recorder(journal, tracking, root, end, sampling_s)
    faults, tries = 0, 0
    while True:
        is_last = ended is None or ended.is_set()  # before reading: all is there if it is
        tries += is_last
        try:
            if recorder.advance(is_last):
                if not recorder.outcome.left:
                    journal.remove()
                return recorder.outcome
            faults = 0
            first()
            first = lambda: None  # noqa: E731
        except DeletedError as error:
            journal.remove()
            recorder.outcome.refused.append(str(error))
            return recorder.outcome
        except Exception as error:
            recorder.store, faults = None, faults + 1
            if is_last and tries >= TRIES_AT_END:
                recorder.outcome.left.append(brief(error, store_uri(tracking, root)))
                return recorder.outcome
        pause = PAUSES_S[min(faults, len(PAUSES_S)) - 1] if faults else POLL_S
        if ended is None or ended.is_set():
            time.sleep(min(pause, LAST_PAUSE_S))
        else:
            ended.wait(pause)


def deliver_killed(tracking: Tracking, root: Path) -> None:
    """Close as KILLED the runs whose process is gone without having written their end."""
    for old in waiting(root):
        if not old.ended and old.is_abandoned():
            with contextlib.suppress(BusyError, FileNotFoundError), claim(old.folder) as journal:
                deliver(journal, tracking, root)
