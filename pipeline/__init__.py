"""The front doors: one short module a DVC stage."""

import os
import signal
import sys
from pathlib import Path

if sys.argv[:1] == ["-m"]:  # being started: until a stage listens itself, nothing is begun
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda number, frame: os._exit(1))
    # A queued experiment is a checkout of its own: it runs the code it was queued with, not what
    # the installed package, which is the working tree, has become since.
    own = str(Path(__file__).resolve().parents[1] / "src")
    sys.path.insert(0, own)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (own, os.environ.get("PYTHONPATH"))))
