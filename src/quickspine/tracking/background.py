"""The relay of a run, seen from the run: started, and waited for, but never for long."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from quickspine.params import Tracking

# Relays that go on after their run was left: kept here, so that nobody mourns them as forgotten.
_lingering: list[subprocess.Popen[bytes]] = []


class Background:
    """A relay as a child process, in a session of its own: signals for the run do not reach it."""

    def __init__(
        self, folder: Path, tracking: Tracking, root: Path, sampling_s: float | None
    ) -> None:
        """Start it.

        Args:
            folder: of the journal.
            tracking: the section of the params; its URI goes through a pipe, never an argument.
            root: the project.
            sampling_s: seconds between samples of system metrics; none where None.

        Raises:
            OSError: where no process can be started.
        """
        for process in [each for each in _lingering if each.poll() is not None]:
            _lingering.remove(process)
            if process.stdout is not None:
                process.stdout.close()
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "quickspine.tracking.relay"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # its faults reach us as its outcome
            start_new_session=True,
        )
        self._tell(
            {
                "folder": str(folder),
                "tracking": tracking.model_dump(),
                "root": str(root),
                "sampling_s": sampling_s,
            }
        )

    def finish(self, end: dict[str, Any], limit_s: float) -> dict[str, Any] | None:
        """Tell it the end of the run, and wait for its outcome.

        Args:
            end: the journal's last entry, in case that could not be written.
            limit_s: seconds to wait at most; then it goes on alone, for a bounded time.

        Returns:
            The fields of a `quickspine.tracking.recording.Outcome`; None where time was up.
        """
        process = self._process
        self._tell(end)
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
            process.stdin = None  # or `communicate` flushes it once more
        try:
            said, _ = process.communicate(timeout=limit_s)
        except BaseException as error:  # a second Ctrl-C as well
            _lingering.append(process)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            return None
        try:
            outcome: dict[str, Any] = json.loads(said)
        except ValueError:
            return {"left": [f"its recording ended with {process.returncode}"]}
        return outcome

    def _tell(self, message: dict[str, Any]) -> None:
        # Far smaller than a pipe: this never waits. Where it is gone, `finish` will tell.
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.write(json.dumps(message).encode() + b"\n")
                self._process.stdin.flush()
