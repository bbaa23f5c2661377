"""Signals to stop: one exception, which waits for the end of a block."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from quickspine import signals
from quickspine.signals import STOPPING, Stopped, held_back, stop_by_exception


@pytest.fixture(autouse=True)
def _handlers_as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in STOPPING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_is_an_exception_once(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_by_exception()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)
    signal.raise_signal(signal.SIGTERM)  # while the first is being answered
    monkeypatch.setattr(signals, "AGAIN_S", 0.0)
    with pytest.raises(Stopped):  # it hangs: the user means it
        signal.raise_signal(number)


def test_nohup_is_respected_and_a_background_job_hears_ctrl_c() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop_by_exception()
    signal.raise_signal(signal.SIGHUP)
    with held_back():
        signal.raise_signal(signal.SIGHUP)
    with pytest.raises(Stopped):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("number", STOPPING)
def test_held_back_until_the_end_of_the_outermost_block(number: signal.Signals) -> None:
    stop_by_exception()
    done = []
    with pytest.raises(Stopped):  # noqa: PT012 - what comes after the signal is the point
        with held_back():
            with held_back():
                signal.raise_signal(number)
                done.append("the rest")
            done.append("of both")
        done.append("never")
    assert done == ["the rest", "of both"]
    with held_back():  # nothing is left over
        pass


def test_an_error_in_the_block_goes_on_and_signals_work_again() -> None:
    stop_by_exception()
    with pytest.raises(ZeroDivisionError), held_back():
        raise ZeroDivisionError
    with pytest.raises(Stopped):
        signal.raise_signal(signal.SIGTERM)


def test_the_exit_code_is_the_program_s_own() -> None:
    """A bare KeyboardInterrupt that passes through `exec` ends CPython by SIGINT."""
    program = """
import os, signal, sys
from quickspine.signals import stop_by_exception
stop_by_exception()
try:
    exec("import os, signal; os.kill(os.getpid(), signal.SIGTERM)\\nwhile True: pass")
except KeyboardInterrupt:
    sys.exit(1)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 1
