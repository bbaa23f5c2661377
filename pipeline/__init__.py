"""The front doors: one short module a DVC stage."""

import os
import signal
import sys

if sys.argv[:1] == ["-m"]:  # being started: until a stage listens itself, nothing is begun
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda number, frame: os._exit(1))
