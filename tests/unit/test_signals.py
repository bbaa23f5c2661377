"""Signals to stop: one exception, which waits for the end of a block."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from quickspine import signals
from quickspine.signals import STOPPING, held_back, stop_by_exception


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
    with pytest.raises(KeyboardInterrupt):  # it hangs: the user means it
        signal.raise_signal(number)


def test_nohup_is_respected_and_a_background_job_hears_ctrl_c() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop_by_exception()
    signal.raise_signal(signal.SIGHUP)
    with held_back():
        signal.raise_signal(signal.SIGHUP)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("number", STOPPING)
def test_held_back_until_the_end_of_the_block(number: signal.Signals) -> None:
    stop_by_exception()
    handlers = [signal.getsignal(each) for each in STOPPING]
    done = []
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - what comes after the signal is the point
        with held_back():
            signal.raise_signal(number)
            done.append("the rest")
        done.append("never")
    assert done == ["the rest"]
    assert [signal.getsignal(each) for each in STOPPING] == handlers


def test_an_error_in_the_block_goes_on_and_the_handlers_are_back() -> None:
    stop_by_exception()
    handlers = [signal.getsignal(each) for each in STOPPING]
    with pytest.raises(ZeroDivisionError), held_back():
        raise ZeroDivisionError
    assert [signal.getsignal(each) for each in STOPPING] == handlers


def test_other_threads_are_left_alone() -> None:
    done = []

    def work() -> None:
        with held_back():
            done.append(threading.current_thread().name)

    thread = threading.Thread(target=work, name="other")
    thread.start()
    thread.join()
    assert done == ["other"]
