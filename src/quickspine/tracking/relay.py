"""The process that records a run while it goes on: a journal in, MLflow out.

A process of its own, so that no store, no server and no library of MLflow's can slow a training,
fail it, or outlive it by more than a bounded time. It gets its order as a line of JSON on stdin (a
password in it is in no argument and no environment), hears of the run's end by the end of stdin,
which a kill of the training brings about as well, and prints its outcome.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from dataclasses import asdict
from pathlib import Path

from quickspine.params import Tracking
from quickspine.tracking.journal import now_ms
from quickspine.tracking.pending import claimed
from quickspine.tracking.quiet import brief, load
from quickspine.tracking.recording import Outcome, Recording, close_earlier
from quickspine.tracking.store import store_uri

LINGER_S = 60.0  # how long it may outlive the process of the run


def main() -> None:
    """Take the order, record the run, print the outcome as JSON."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process of the run
    order = json.loads(sys.stdin.buffer.readline())
    tracking, root = Tracking.model_validate(order["tracking"]), Path(order["root"])
    ended = threading.Event()
    try:
        with claimed(Path(order["folder"])) as journal:
            load()
            recording = Recording(
                journal,
                tracking,
                root,
                ended,
                order["sampling_s"],
                lambda store: close_earlier(tracking, root, store),
            )
            threading.Thread(target=_listen, args=(recording, ended), daemon=True).start()
            outcome = recording.run()
    except Exception as error:
        outcome = Outcome(left=[brief(error, store_uri(tracking, root))])
    with contextlib.suppress(OSError):  # whose run it is may be gone
        print(json.dumps(asdict(outcome)), flush=True)
    os._exit(0)  # no thread of MLflow's is waited for


def _listen(recording: Recording, ended: threading.Event) -> None:
    """Until the end of stdin: the run's process closed it, or is gone."""
    for line in sys.stdin.buffer:
        with contextlib.suppress(ValueError):
            recording.end = json.loads(line)
    if recording.end is None:
        recording.end = {"kind": "end", "time_ms": now_ms(), "status": "KILLED"}
    ended.set()
    watchdog = threading.Timer(LINGER_S, os._exit, [1])
    watchdog.daemon = True
    watchdog.start()


if __name__ == "__main__":
    main()
